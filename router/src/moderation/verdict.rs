//! The answer to a moderation request, as callers get it and as it is stored.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::calls::version;
use super::content::Content;
use super::decide::Verdict;
use super::judge::{Cause, Finding};
use crate::fanout::call::{Call, Status};
use crate::policy::name::Name;
use crate::policy::plan::PlannedCall;
use crate::policy::scope::{Label, Outcome};
use crate::policy::scope_path::ScopePath;

/// By which a verdict is found again, and the one whose place it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    /// Its own.
    pub(crate) decision_id: Uuid,
    /// That of a verdict that was made without some score, and is now made with it.
    pub(crate) supersedes: Option<Uuid>,
}

impl Names {
    /// Those of a verdict that takes nobody's place.
    pub(crate) fn first() -> Self {
        Self { decision_id: Uuid::now_v7(), supersedes: None }
    }
}

/// The answer's JSON.
pub(crate) fn render(
    names: Names,
    content: &Content,
    policy_version: i64,
    verdict: &Verdict<'_>,
) -> String {
    let reasons: Vec<_> = if content.explain {
        verdict.findings.iter().map(|finding| reason(finding, verdict)).collect()
    } else {
        verdict.reasons().map(|finding| reason(finding, verdict)).collect()
    };
    let response = Response {
        decision_id: names.decision_id.hyphenated(),
        supersedes: names.supersedes.map(Uuid::hyphenated),
        client: &content.client,
        content_id: content.content_id.as_str(),
        decision: verdict.decision,
        reasons,
        calls: verdict.calls.iter().map(|(planned, call)| report(planned, call)).collect(),
        policy_version,
        degraded: verdict.degraded,
    };
    serde_json::to_string(&response).expect("strings and finite numbers are always JSON")
}

/// The verdict on one piece of content.
#[derive(Serialize, ToSchema)]
#[schema(as = Verdict)]
pub(crate) struct Response<'a> {
    /// By which the answer is found again.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, format = "uuid")]
    decision_id: Hyphenated,
    /// The verdict whose place this one takes: it was made before all models had answered.
    #[serde(serialize_with = "as_optional_text", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    supersedes: Option<Hyphenated>,
    /// Whose content it was.
    client: &'a Name,
    /// The caller's own name for it.
    content_id: &'a str,
    /// The strictest outcome of all rules.
    decision: Outcome,
    /// The rules whose outcome equals the decision, none for `approve`; with `explain`, all rules.
    reasons: Vec<Reason<'a>>,
    /// One for each model that the client's rules name.
    calls: Vec<Report<'a>>,
    /// The version of the options that decided.
    policy_version: i64,
    /// Whether a score that is missing could have changed the decision.
    degraded: bool,
}

/// What one rule had to say.
#[derive(Serialize, ToSchema)]
struct Reason<'a> {
    /// The rule.
    rule: &'a Name,
    /// The model.
    model: &'a Name,
    /// Its version, as the answer or the registration names it.
    version: Option<&'a str>,
    /// The label whose score it looks at.
    label: &'a Label,
    /// The score; null where there is none.
    score: Option<f64>,
    /// The threshold crossed; null where none was.
    threshold: Option<f64>,
    /// What the rule demands.
    outcome: Outcome,
    /// The scope that set the threshold, or the outcome on failure.
    set_by: Option<&'a ScopePath>,
    /// Why there is no score, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    /// Why its `when` could not be evaluated; it counts as true then.
    #[serde(skip_serializing_if = "Option::is_none")]
    when_error: Option<&'a str>,
}

/// What became of the call of one model.
#[derive(Serialize, ToSchema)]
#[schema(as = CallReport)]
struct Report<'a> {
    /// The model.
    model: &'a Name,
    /// Its version, as the answer or the registration names it.
    version: Option<&'a str>,
    /// How the call ended.
    status: Status,
    /// How long it took.
    latency_ms: f64,
}

fn reason<'a>(finding: &'a Finding<'_>, verdict: &'a Verdict<'_>) -> Reason<'a> {
    let (planned, call) = &verdict.calls[finding.rule.call];
    Reason {
        rule: &finding.rule.name,
        model: &planned.model.name,
        version: version(planned, call),
        label: &planned.labels[finding.rule.label],
        score: finding.score,
        threshold: finding.threshold,
        outcome: finding.outcome,
        set_by: finding.set_by,
        cause: finding.cause,
        when_error: finding.when_error.as_deref(),
    }
}

fn report<'a>(planned: &'a PlannedCall, call: &'a Call) -> Report<'a> {
    // A hundredth of a millisecond is as fine as these clocks are steady.
    let latency_ms = (call.latency.as_secs_f64() * 100_000.0).round() / 100.0;
    let version = version(planned, call);
    Report { model: &planned.model.name, version, status: call.status, latency_ms }
}

fn as_text<S: Serializer>(id: &Hyphenated, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_optional_text<S: Serializer>(
    id: &Option<Hyphenated>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => as_text(id, serializer),
        None => serializer.serialize_none(),
    }
}
