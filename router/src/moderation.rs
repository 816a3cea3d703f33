//! From one piece of content to its verdict.

mod content;
mod judge;
mod course;
mod decide;
mod waiting;
mod case;
mod telling;
mod awaited;
mod backlog;
mod sample;
mod calls;
mod verdict;
mod complaints;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod property;

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::app::App;
use crate::fanout::call::Call;
use crate::fanout::{Payloads, Seat};
use crate::policy::name::Name;
use crate::policy::plan::{Plan, PlannedCall};
use crate::problem::{Kind, Problem};

pub(crate) use awaited::Awaited;
pub(crate) use backlog::Backlog;
pub(crate) use calls::StoredCalls;
pub(crate) use case::{Case, LONGEST_WAIT};
pub(crate) use complaints::Complaints;
pub(crate) use content::{Content, ContentId, Fields};
use course::Course;
pub(crate) use decide::{Verdict, decide};
pub(crate) use judge::{Cause, Finding};
pub(crate) use verdict::{Names, Response, render};
use waiting::UnderWay;
pub(crate) use waiting::Wait;

/// The least time for calls that can't change the verdict any more,
const SHORTEST_GRACE: Duration = Duration::from_millis(5);
/// and the most.
const LONGEST_GRACE: Duration = Duration::from_millis(50);

/// The longest that the verdict on a content may take.
pub(crate) fn time_for(plan: &Plan, content: &Content) -> Duration {
    plan.deadline.min(content.deadline_ms.map_or(Duration::MAX, Duration::from))
}

/// A verdict, and the calls without an answer that may still come, by their indices in the plan.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) verdict: Verdict<'a>,
    pub(crate) pending: Vec<(usize, Seat)>,
}

/// What there is already of a planned call.
#[derive(Debug)]
pub(crate) enum AtHand {
    /// What has become of it.
    Result(Call),
    /// It is under way.
    Seat(Seat),
}

/// Calls the models, stage after stage, and judges what they answer; those of which something is at
/// hand are not called. A stage that has used its share of the time no longer keeps the next one
/// from beginning, and its slow calls run on to the deadline beside those of the next. Once the
/// verdict is certain, calls under way have about as long again as it took, since people and
/// what-ifs look at their scores, and are given up then. A router that is to stop makes no more
/// calls for verdicts that no caller waits for, and in the end counts those under way as timeouts.
/// A verdict that was overtaken by other options lacks what had not come: it is none to keep.
pub(crate) async fn judge<'a>(
    app: &App,
    (plan, content): (&'a Plan, &'a Content),
    wait: Wait<'_>,
    mut at_hand: impl FnMut(&PlannedCall) -> Option<AtHand>,
) -> Judged<'a> {
    let (begun, until) = (Instant::now(), wait.until());
    let mut course = Course::new(plan, content);
    let mut payloads = Payloads::new(content);
    let mut under_way = UnderWay::new(wait, &app.stopping);
    let mut pending = Vec::new();
    while let Some(wanted) = course.begin_stage() {
        for index in wanted {
            let planned: &PlannedCall = &plan.calls[index];
            let asked = match at_hand(planned) {
                Some(AtHand::Result(call)) => {
                    course.settle(index, Some(call));
                    continue;
                }
                None if under_way.is_closed() && planned.model.document.enabled => {
                    course.settle(index, under_way.given_up(Duration::ZERO));
                    continue;
                }
                Some(AtHand::Seat(seat)) => Either::Left(app.fanout.resume(planned, seat, until)),
                None => Either::Right(app.fanout.call(planned, &mut payloads, until)),
            };
            under_way.push(asked.map(move |asked| (index, asked)));
        }
        let end = course.end_of_stage(Instant::now(), until.deadline);
        let mut end = pin!(sleep_until(end));
        while course.awaits_stage() {
            let Some((index, asked)) = under_way.next_before(end.as_mut()).await else { break };
            course.settle(index, Some(asked.call));
            pending.extend(asked.pending.map(|seat| (index, seat)));
        }
    }
    while course.awaits_any() {
        let Some((index, asked)) = under_way.next().await else {
            course.give_up(under_way.given_up(begun.elapsed()).as_ref());
            return Judged { verdict: course.end(), pending };
        };
        course.settle(index, Some(asked.call));
        pending.extend(asked.pending.map(|seat| (index, seat)));
    }
    let grace = Instant::now() + begun.elapsed().clamp(SHORTEST_GRACE, LONGEST_GRACE);
    let mut grace = pin!(sleep_until(grace));
    while let Some((index, asked)) = under_way.next_before(grace.as_mut()).await {
        course.settle(index, Some(asked.call));
    }
    Judged { verdict: course.end(), pending }
}

/// Counts the calls, and the expressions that could not be evaluated; says now and then which ones,
/// without any of the content.
fn count(app: &App, (client, decision_id): (&Name, Uuid), verdict: &Verdict<'_>) {
    verdict.calls.iter().for_each(|(_, call)| app.metrics.called(call.status));
    for finding in &verdict.findings {
        if let (Some(error), Some(when)) = (&finding.when_error, &finding.rule.terms.when) {
            app.metrics.when_errors.inc();
            let (rule, when) = (&finding.rule.name, when.condition.as_str());
            if app.complaints.is_due(rule, when) {
                tracing::warn!(
                    %decision_id, %client, %rule, when, error,
                    "a `when` could not be evaluated"
                );
            }
        }
    }
}

/// The refusal for a client that has no scope.
pub(crate) fn unknown_client(client: &Name) -> Problem {
    let detail = format!("client `{client}` has no options; PUT /v1/scopes/client/{client} first");
    Problem::new(Kind::UnknownClient, detail)
}
