//! The answer to a moderation request, as callers get it and as it is stored.

use serde::{Serialize, Serializer};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::content::Content;
use super::decide::{Finding, Verdict};
use crate::fanout::call::{Call, Status};
use crate::policy::name::Name;
use crate::policy::plan::PlannedCall;
use crate::policy::scope::{Label, Outcome};
use crate::policy::scope_path::ScopePath;

/// The answer's JSON.
pub(crate) fn render(
    id: Uuid,
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
        decision_id: id.hyphenated(),
        client: &content.client,
        content_id: content.content_id.as_str(),
        decision: verdict.decision,
        reasons,
        calls: verdict.calls.iter().copied().map(report).collect(),
        policy_version,
        degraded: verdict.degraded,
    };
    serde_json::to_string(&response).expect("strings and finite numbers are always JSON")
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(serialize_with = "as_text")]
    decision_id: Hyphenated,
    client: &'a Name,
    content_id: &'a str,
    decision: Outcome,
    reasons: Vec<Reason<'a>>,
    calls: Vec<Report<'a>>,
    policy_version: i64,
    degraded: bool,
}

#[derive(Serialize)]
struct Reason<'a> {
    rule: &'a Name,
    model: &'a Name,
    version: Option<&'a str>,
    label: &'a Label,
    score: Option<f64>,
    threshold: Option<f64>,
    outcome: Outcome,
    set_by: Option<&'a ScopePath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Status>,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a Name,
    version: Option<&'a str>,
    status: Status,
    latency_ms: f64,
}

fn reason<'a>(finding: &Finding<'a>, verdict: &Verdict<'a>) -> Reason<'a> {
    let (planned, call) = verdict.calls[finding.call];
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
    }
}

fn report<'a>((planned, call): (&'a PlannedCall, &'a Call)) -> Report<'a> {
    // A hundredth of a millisecond is as fine as these clocks are steady.
    let latency_ms = (call.latency.as_secs_f64() * 100_000.0).round() / 100.0;
    let version = version(planned, call);
    Report { model: &planned.model.name, version, status: call.status, latency_ms }
}

/// The version that the answer names, or the registered one.
fn version<'a>(planned: &'a PlannedCall, call: &'a Call) -> Option<&'a str> {
    call.version.as_deref().or(planned.model.document.version.as_deref())
}

fn as_text<S: Serializer>(id: &Hyphenated, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
