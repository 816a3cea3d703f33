//! From one piece of content to its verdict.

mod content;
mod judge;
mod course;
mod decide;
mod sample;
mod calls;
mod verdict;
mod complaints;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod property;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::app::App;
use crate::fanout::Payloads;
use crate::fanout::call::Call;
use crate::policy::name::Name;
use crate::policy::plan::{Plan, PlannedCall};
use crate::problem::{Kind, Problem};
use crate::store::decisions::Decision;

pub(crate) use calls::StoredCalls;
pub(crate) use complaints::Complaints;
pub(crate) use content::{Content, ContentId, Fields};
use course::Course;
pub(crate) use decide::{Verdict, decide};
pub(crate) use judge::{Cause, Finding};
use sample::is_sampled;
pub(crate) use verdict::{Response, render};

/// Decides on `content` and returns the answer's JSON once the decision is stored.
///
/// `request` is the text that the content was read from; it is stored with the decision.
pub(crate) async fn moderate(
    app: &App,
    content: &Content,
    request: String,
) -> Result<String, Problem> {
    let started = Instant::now();
    let policy = app.policy.load_full();
    let plan = policy
        .plan_soon(&content.client, content.site.as_ref())
        .await
        .ok_or_else(|| unknown_client(&content.client))?;

    let deadline = started + time_for(&plan, content);
    let verdict = judge(app, (&plan, content), deadline, |_| None).await;
    count(app, &verdict);

    let decision_id = Uuid::now_v7();
    let response = render(decision_id, content, policy.version, &verdict);
    if content.dry_run {
        return Ok(response);
    }
    let decision = Decision {
        decision_id,
        client: content.client.clone(),
        content_id: content.content_id.as_str().to_owned(),
        decision: verdict.decision,
        policy_version: policy.version,
        request,
        response,
        calls: StoredCalls::of(&plan, content, &verdict).render(),
        sampled: is_sampled(&content.content_id, verdict.inclusion_probability),
        inclusion_probability: verdict.inclusion_probability,
    };
    let kept = app.decisions.keep(decision).await?;
    app.metrics.decided(verdict.decision, verdict.degraded);
    Ok(kept)
}

/// The longest that the verdict on a content may take.
pub(crate) fn time_for(plan: &Plan, content: &Content) -> Duration {
    plan.deadline.min(content.deadline_ms.map_or(Duration::MAX, Duration::from))
}

/// Calls the models, stage after stage, and judges what they answer; those whose results are at
/// hand are not called. A stage that has used its share of the time no longer keeps the next one
/// from beginning, and its slow calls run on to the deadline beside those of the next.
pub(crate) async fn judge<'a>(
    app: &App,
    (plan, content): (&'a Plan, &'a Content),
    deadline: Instant,
    mut at_hand: impl FnMut(&PlannedCall) -> Option<Call>,
) -> Verdict<'a> {
    let mut course = Course::new(plan, content);
    let mut payloads = Payloads::new(content);
    let mut under_way = FuturesUnordered::new();
    while let Some(wanted) = course.begin_stage() {
        for index in wanted {
            let planned: &PlannedCall = &plan.calls[index];
            if let Some(result) = at_hand(planned) {
                course.settle(index, Some(result));
                continue;
            }
            let call = app.fanout.call(planned, &mut payloads, deadline);
            under_way.push(async move { (index, call.await) });
        }
        let end = course.end_of_stage(Instant::now(), deadline);
        while course.awaits_stage() {
            let Ok(Some((index, call))) = timeout_at(end, under_way.next()).await else { break };
            course.settle(index, Some(call));
        }
    }
    while let Some((index, call)) = under_way.next().await {
        course.settle(index, Some(call));
    }
    course.end()
}

/// Counts the calls, and the expressions that could not be evaluated; says now and then which ones,
/// without any of the content.
fn count(app: &App, verdict: &Verdict<'_>) {
    verdict.calls.iter().for_each(|(_, call)| app.metrics.called(call.status));
    for finding in &verdict.findings {
        if let (Some(error), Some(when)) = (&finding.when_error, &finding.rule.terms.when) {
            app.metrics.when_errors.inc();
            let (rule, when) = (&finding.rule.name, when.condition.as_str());
            if app.complaints.is_due(rule, when) {
                tracing::warn!(%rule, when, error, "a `when` could not be evaluated");
            }
        }
    }
}

/// The refusal for a client that has no scope.
pub(crate) fn unknown_client(client: &Name) -> Problem {
    let detail = format!("client `{client}` has no options; PUT /v1/scopes/client/{client} first");
    Problem::new(Kind::UnknownClient, detail)
}
