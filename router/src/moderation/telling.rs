//! Tells of a verdict, in the log and as a trace; never of what the content says.

use std::fmt;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;
use tracing::{debug, info};

use super::decide::Verdict;
use super::verdict::Names;
use crate::app::App;
use crate::fanout::call::{Call, Status};
use crate::policy::name::Name;
use crate::policy::plan::PlannedCall;
use crate::problem::Problem;
use crate::telemetry::Stretch;

/// What was done to come to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A caller has asked for it, and waits.
    Review,
    /// A caller has asked for it, and will fetch it.
    Promise,
    /// It was made anew, once endpoints had started.
    Amendment,
}

/// Tells of the verdicts that one content comes to.
pub(super) struct Teller {
    /// The trace that the caller is in the middle of.
    pub(super) parent: Context,
    pub(super) client: Name,
    pub(super) policy_version: i64,
    pub(super) what: What,
    pub(super) begun: Instant,
}

impl Teller {
    /// Tells of a verdict when it is over, and whether it could be stored.
    pub(super) fn tell(
        &self,
        app: &App,
        (names, verdict): (Names, &Verdict<'_>),
        kept: Result<(), &Problem>,
    ) {
        self.log((names, verdict), kept);
        if let Some(traces) = &app.traces {
            let whole = self.whole((names, verdict), kept);
            traces.note(&self.parent, whole, || verdict.calls.iter().filter_map(part).collect());
        }
    }

    /// What people should look at is told; the rest, to who asks for it.
    fn log(&self, (names, verdict): (Names, &Verdict<'_>), kept: Result<(), &Problem>) {
        let Self { client, policy_version, .. } = self;
        let (decision_id, decision) = (names.decision_id, verdict.decision.as_str());
        let not_stored = kept.err().map(|problem| &*problem.detail);
        if verdict.degraded {
            let calls = Calls(verdict, |call| !call.status.has_scores());
            info!(%decision_id, %client, decision, policy_version, %calls, not_stored, "a degraded verdict");
        } else {
            let calls = Calls(verdict, |_| true);
            debug!(%decision_id, %client, decision, policy_version, %calls, not_stored, "a verdict");
        }
    }

    fn whole(
        &self,
        (names, verdict): (Names, &Verdict<'_>),
        kept: Result<(), &Problem>,
    ) -> Stretch {
        let Self { client, policy_version, .. } = self;
        let mut attributes = vec![
            KeyValue::new("gatehouse.client", client.as_str().to_owned()),
            KeyValue::new("gatehouse.decision_id", names.decision_id.to_string()),
            KeyValue::new("gatehouse.decision", verdict.decision.as_str()),
            KeyValue::new("gatehouse.degraded", verdict.degraded),
            KeyValue::new("gatehouse.policy_version", *policy_version),
        ];
        if let Some(first) = names.supersedes {
            attributes.push(KeyValue::new("gatehouse.supersedes", first.to_string()));
        }
        let (name, kind) = match self.what {
            What::Review | What::Promise => ("POST /v1/moderate", SpanKind::Server),
            What::Amendment => ("decide anew", SpanKind::Internal),
        };
        Stretch {
            name: name.to_owned(),
            kind,
            from: self.begun,
            until: Instant::now(),
            attributes,
            fault: kept.err().map(|problem| problem.detail.to_string()),
        }
    }
}

/// A call that was made, or did not have to be since its scores were known.
fn part((planned, call): &(&PlannedCall, Call)) -> Option<Stretch> {
    let until = call.ended?;
    let (model, status) = (planned.model.name.as_str(), call.status);
    let mut attributes = vec![
        KeyValue::new("gatehouse.model", model.to_owned()),
        KeyValue::new("gatehouse.endpoint", planned.model.document.endpoint.shown()),
        KeyValue::new("gatehouse.status", status.as_str()),
        KeyValue::new("gatehouse.cached", status == Status::Cached),
    ];
    if let Some(version) = &call.version {
        attributes.push(KeyValue::new("gatehouse.model.version", version.clone()));
    }
    if !status.has_scores() {
        attributes.push(KeyValue::new("error.type", status.as_str()));
    }
    let (name, kind) = (format!("ask {model}"), SpanKind::Client);
    let from = until.checked_sub(call.latency).unwrap_or(until);
    let fault = call.cause.as_deref().map(str::to_owned);
    Some(Stretch { name, kind, from, until, attributes, fault })
}

/// Some of a verdict's calls, with their causes.
struct Calls<'a>(&'a Verdict<'a>, fn(&Call) -> bool);

impl fmt::Display for Calls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verdict, is_meant) = self;
        let calls = verdict.calls.iter().filter(|(_, call)| is_meant(call));
        for (index, (planned, call)) in calls.enumerate() {
            let (comma, model) = (if index > 0 { "; " } else { "" }, &planned.model.name);
            write!(f, "{comma}{model} {}", call.status)?;
            if let Some(cause) = &call.cause {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}
