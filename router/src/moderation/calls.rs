//! The calls of a decision as they are stored, to make it again without calling anybody.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decide::Verdict;
use crate::fanout::call::{Call, Status};
use crate::policy::name::Name;
use crate::policy::plan::PlannedCall;

/// One call as it is stored, with all scores that its answer has.
#[derive(Debug, Deserialize, Serialize)]
struct StoredCall {
    model: Name,
    version: Option<String>,
    status: Status,
    scores: BTreeMap<String, f64>,
}

/// The calls as they are stored.
pub(super) fn render_calls(verdict: &Verdict<'_>) -> String {
    let stored = |(planned, call): &(&PlannedCall, Call)| StoredCall {
        model: planned.model.name.clone(),
        version: version(planned, call).map(str::to_owned),
        status: call.status,
        scores: call.all_scores.clone(),
    };
    let calls: Vec<_> = verdict.calls.iter().map(stored).collect();
    serde_json::to_string(&calls).expect("strings and finite numbers are always JSON")
}

/// The version that the answer names, or the registered one.
pub(super) fn version<'a>(planned: &'a PlannedCall, call: &'a Call) -> Option<&'a str> {
    call.version.as_deref().or(planned.model.document.version.as_deref())
}

/// The calls of one decision, by model.
#[derive(Debug, Default)]
pub(crate) struct StoredCalls(BTreeMap<Name, Call>);

impl StoredCalls {
    /// Reads what [`render_calls`] wrote.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        let stored: Vec<StoredCall> = serde_json::from_str(text)?;
        let calls = stored.into_iter().map(|stored| {
            let StoredCall { model, version, status, scores } = stored;
            let call = Call::without_scores(status, Duration::ZERO);
            (model, Call { version, all_scores: scores, ..call })
        });
        Ok(Self(calls.collect()))
    }

    /// What became of a call that a plan wants, as far as that is known.
    pub(crate) fn recall(&self, planned: &PlannedCall) -> Option<Call> {
        self.0.get(&planned.model.name)?.again(&planned.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderation::{Content, decide};
    use crate::policy::example::{MODEL, policy};
    use crate::policy::scope_path::ScopePath;

    /// What a plan of one rule recalls of these calls.
    fn recalled(label: &str, stored: &str) -> Option<Call> {
        let rule = format!(r#"{{"rules": {{"r": {{"model": "m", "label": "{label}"}}}}}}"#);
        let policy = policy(&[MODEL, ("scopes/platform", &rule)]).unwrap();
        let plan = policy.plan(&ScopePath::Platform).unwrap();
        StoredCalls::parse(stored).unwrap().recall(&plan.calls[0])
    }

    #[test]
    fn a_call_is_recalled_with_the_scores_of_labels_that_no_rule_had_asked_for() {
        let ok =
            r#"[{"model": "m", "version": "3", "status": "ok", "scores": {"x": 0.25, "y": 1}}]"#;
        let call = recalled("y", ok).unwrap();
        assert_eq!((call.version.as_deref(), &*call.scores), (Some("3"), &[1.0][..]));
        assert!(recalled("z", ok).is_none());
        assert!(recalled("y", &ok.replace(r#""m""#, r#""other""#)).is_none());
        assert!(recalled("y", "[]").is_none());
    }

    #[test]
    fn what_failed_is_known_to_have_failed_and_what_was_spared_is_not_known() {
        for (status, expected) in [
            ("timeout", Some(Status::Timeout)),
            ("throttled", Some(Status::Throttled)),
            ("failed", Some(Status::Failed)),
            ("skipped", None),
        ] {
            let stored = format!(
                r#"[{{"model": "m", "version": null, "status": "{status}", "scores": {{}}}}]"#
            );
            assert_eq!(recalled("x", &stored).map(|call| call.status), expected, "{status}");
        }
        assert!(StoredCalls::parse(r#"[{"model": "m"}]"#).is_err());
    }

    #[test]
    fn what_is_written_is_read_again_to_the_last_bit() {
        let rule = r#"{"rules": {"r": {"model": "m", "label": "x"}}}"#;
        let policy = policy(&[MODEL, ("scopes/platform", rule)]).unwrap();
        let plan = policy.plan(&ScopePath::Platform).unwrap();
        let content = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}}"#;
        let content = Content::parse(content, "text").unwrap();
        let score = 0.1_f64 + 0.2;
        let call = Call {
            scores: vec![score],
            all_scores: [("x".to_owned(), score)].into(),
            ..Call::without_scores(Status::Ok, Duration::ZERO)
        };
        let verdict = decide(&plan, &content, |_| Some(call.clone()));
        let stored = StoredCalls::parse(&render_calls(&verdict)).unwrap();
        assert_eq!(stored.recall(&plan.calls[0]).unwrap().scores, [score]);
    }
}
