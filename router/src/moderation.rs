//! From one piece of content to its verdict.

mod content;
mod judge;
mod course;
mod decide;
mod sample;
mod calls;
mod verdict;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod property;

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::app::App;
use crate::fanout::Payloads;
use crate::fanout::call::Call;
use crate::policy::name::Name;
use crate::policy::plan::{Plan, PlannedCall};
use crate::problem::{Kind, Problem};
use crate::store::decisions::Decision;

pub(crate) use calls::StoredCalls;
use calls::render_calls;
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
        .plan_for(&content.client, content.site.as_ref())
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
        calls: render_calls(&verdict),
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
/// hand are not called.
pub(crate) async fn judge<'a>(
    app: &App,
    (plan, content): (&'a Plan, &'a Content),
    deadline: Instant,
    at_hand: impl Fn(&PlannedCall) -> Option<Call>,
) -> Verdict<'a> {
    let mut course = Course::new(plan, content);
    let mut payloads = Payloads::new(content);
    while let Some(mut wanted) = course.begin_stage() {
        let mut known = Vec::new();
        wanted.retain(|&call| match at_hand(&plan.calls[call]) {
            Some(result) => {
                known.push((call, Some(result)));
                false
            }
            None => true,
        });
        let planned = wanted.iter().map(|call| &plan.calls[*call]);
        let calls = app.fanout.call_each(planned, &mut payloads, deadline).await;
        course.settle(wanted.into_iter().zip(calls.into_iter().map(Some)).chain(known));
    }
    course.end()
}

/// Counts the calls, and the expressions that could not be evaluated; says which ones, without any
/// of the content.
fn count(app: &App, verdict: &Verdict<'_>) {
    verdict.calls.iter().for_each(|(_, call)| app.metrics.called(call.status));
    for finding in &verdict.findings {
        if let Some(error) = &finding.when_error {
            app.metrics.when_errors.inc();
            tracing::warn!(rule = %finding.rule.name, error, "a `when` could not be evaluated");
        }
    }
}

/// The refusal for a client that has no scope.
pub(crate) fn unknown_client(client: &Name) -> Problem {
    let detail = format!("client `{client}` has no options; PUT /v1/scopes/client/{client} first");
    Problem::new(Kind::UnknownClient, detail)
}
