//! The calls of a decision as they are stored, to make it again without calling anybody.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::content::Content;
use super::decide::Verdict;
use super::time_for;
use crate::fanout::call::{Call, Status};
use crate::policy::fingerprint::Fingerprint;
use crate::policy::name::Name;
use crate::policy::plan::{Plan, PlannedCall};
use crate::policy::scope::Label;

/// The calls of one decision, one for each model of its plan.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct StoredCalls<'a>(Vec<StoredCall<'a>>);

/// One call as it is stored, with all scores that its answer has.
#[derive(Debug, Deserialize, Serialize)]
struct StoredCall<'a> {
    model: Name,
    version: Option<Cow<'a, str>>,
    status: Status,
    scores: Cow<'a, BTreeMap<String, f64>>,
    /// The fingerprint of what the result rests on: a call that rests on the same comes to the
    /// same. Older routers kept none, and timeouts that no caller waited for have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basis: Option<Fingerprint>,
    /// The fingerprint of what the scores rest on, where the call has failed and has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scoring: Option<Fingerprint>,
    #[serde(skip)]
    latency: Duration,
}

impl<'c> StoredCalls<'c> {
    /// The calls of a verdict that this plan has come to for the content.
    pub(crate) fn of(plan: &Plan, content: &Content, verdict: &'c Verdict<'_>) -> Self {
        let stored = |(planned, call): &'c (&PlannedCall, Call)| StoredCall {
            model: planned.model.name.clone(),
            version: version(planned, call).map(Cow::Borrowed),
            status: call.status,
            scores: Cow::Borrowed(&*call.all_scores),
            basis: basis(call.status, planned, plan, content),
            scoring: (!call.status.has_scores() && !call.all_scores.is_empty())
                .then_some(planned.model.scoring),
            latency: call.latency,
        };
        Self(verdict.calls.iter().map(stored).collect())
    }

    /// The same of a verdict that no caller waited for: that a call took too long for it says
    /// nothing about one that has a caller's time.
    pub(super) fn of_unhurried(mut self) -> Self {
        let timeouts = self.0.iter_mut().filter(|call| call.status == Status::Timeout);
        timeouts.for_each(|call| call.basis = None);
        self
    }

    /// The text to store.
    pub(super) fn render(&self) -> String {
        serde_json::to_string(self).expect("strings and finite numbers are always JSON")
    }

    /// Reads a stored text.
    pub(crate) fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// What becomes of the calls that a plan wants for the same content, as far as that is known
    /// by these. It is to be asked for one stage after the other.
    pub(crate) fn recall<'a>(
        &'a self,
        plan: &'a Plan,
        content: &'a Content,
    ) -> impl FnMut(&PlannedCall) -> Option<Call> + use<'a> {
        let calls: BTreeMap<_, _> = self.0.iter().map(|call| (&call.model, call)).collect();
        let mut wanted = BTreeSet::new();
        move |planned| {
            wanted.insert(planned.model.name.clone());
            let call = *calls.get(&planned.model.name)?;
            if let Some(scored) = call.scored(planned) {
                return Some(scored);
            }
            // A call that waits for fewer others has more time than it had.
            let waited_for = |model: &&Name| calls.get(model).is_some_and(|call| call.was_made());
            let before = plan.calls_before(planned).map(|before| &before.model.name);
            let has_more_time = || before.filter(waited_for).any(|model| !wanted.contains(model));
            if call.status.has_scores()
                || call.basis? != basis(call.status, planned, plan, content)?
                || call.status == Status::Timeout && has_more_time()
            {
                return None;
            }
            Some(call.failed(&planned.labels))
        }
    }
}

impl StoredCall<'_> {
    fn was_made(&self) -> bool {
        self.status != Status::Skipped
    }

    /// What the same answer says to a planned call; nothing where it lacks a score that is asked
    /// for, or the model would answer another. It may have failed for a label asked for then.
    fn scored(&self, planned: &PlannedCall) -> Option<Call> {
        let basis = if self.status.has_scores() { self.basis } else { self.scoring };
        let scores: Option<Vec<_>> =
            planned.labels.iter().map(|label| self.score(label).map(Some)).collect();
        let scores = scores.filter(|_| basis == Some(planned.model.scoring))?;
        Some(self.again(Status::Ok, scores))
    }

    /// The same failure; an answer that lacks one label may have others.
    fn failed(&self, labels: &[Label]) -> Call {
        self.again(self.status, labels.iter().map(|label| self.score(label)).collect())
    }

    fn again(&self, status: Status, scores: Vec<Option<f64>>) -> Call {
        let version = self.version.as_deref().map(Arc::from);
        Call { version, scores, ..Call::without_scores(status, self.latency) }
    }

    fn score(&self, label: &Label) -> Option<f64> {
        self.scores.get(label.as_str()).copied()
    }
}

/// The fingerprint of what such a result of a plan's call rests on; none where it was not made.
fn basis(
    status: Status,
    planned: &PlannedCall,
    plan: &Plan,
    content: &Content,
) -> Option<Fingerprint> {
    match status {
        Status::Ok | Status::Cached => Some(planned.model.scoring),
        Status::Skipped => None,
        Status::Timeout | Status::Throttled | Status::Failed => {
            Some(plan.failing_within(time_for(plan, content)))
        }
    }
}

/// The version that the answer names, or the registered one.
pub(super) fn version<'a>(planned: &'a PlannedCall, call: &'a Call) -> Option<&'a str> {
    call.version.as_deref().or(planned.model.document.version.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::moderation::decide;
    use crate::policy::example::{MODEL, policy};
    use crate::policy::scope_path::ScopePath;

    /// The plan of these rules, by models of the same registration but for their cost.
    fn plan(costs: &[(&str, f64)], rules: &Value) -> Arc<Plan> {
        let models = costs.iter().map(|(model, cost)| {
            let document = json!({"endpoint": {"sagemaker": model}, "cost": cost});
            (format!("models/{model}"), document.to_string())
        });
        let platform = ("scopes/platform".to_owned(), json!({ "rules": rules }).to_string());
        let documents: Vec<_> = models.chain([platform]).collect();
        let documents: Vec<_> = documents.iter().map(|(s, t)| (s.as_str(), t.as_str())).collect();
        policy(&documents).unwrap().plan(&ScopePath::Platform).unwrap()
    }

    fn content() -> Content {
        let content = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}}"#;
        Content::parse(content, "text").unwrap()
    }

    fn ok(scores: &[(&str, f64)]) -> Call {
        let all_scores: BTreeMap<_, _> =
            scores.iter().map(|(l, s)| ((*l).to_owned(), *s)).collect();
        let scores = scores.iter().map(|(_, score)| Some(*score)).collect();
        let call = Call::without_scores(Status::Ok, Duration::ZERO);
        let all_scores = Arc::new(all_scores);
        Call { version: Some("3".into()), scores, all_scores, ..call }
    }

    /// The calls of a plan, as they are read again.
    fn stored(plan: &Plan, call: impl Fn(&str) -> Call) -> StoredCalls<'static> {
        let content = content();
        let verdict = decide(plan, &content, |planned| Some(call(planned.model.name.as_str())));
        StoredCalls::parse(&StoredCalls::of(plan, &content, &verdict).render()).unwrap()
    }

    /// What is recalled of the only call of a plan.
    fn recalled(calls: &StoredCalls<'_>, plan: &Plan) -> Option<Call> {
        calls.recall(plan, &content())(&plan.calls[0])
    }

    fn rule(label: &str) -> Value {
        json!({"r": {"model": "m", "label": label}})
    }

    #[test]
    fn a_call_is_recalled_with_the_scores_of_labels_that_no_rule_had_asked_for() {
        let plan = |label| plan(&[("m", 1.0)], &rule(label));
        let calls = stored(&plan("x"), |_| ok(&[("x", 0.25), ("y", 1.0)]));
        let call = recalled(&calls, &plan("y")).unwrap();
        assert_eq!((call.version.as_deref(), &*call.scores), (Some("3"), &[Some(1.0)][..]));
        assert!(recalled(&calls, &plan("z")).is_none());
        let other = self::plan(&[("n", 1.0)], &json!({"r": {"model": "n", "label": "x"}}));
        assert!(recalled(&calls, &other).is_none());
        assert!(recalled(&StoredCalls::default(), &plan("x")).is_none());
        let older = r#"[{"model": "m", "version": "3", "status": "ok", "scores": {"x": 0.25}}]"#;
        assert!(recalled(&StoredCalls::parse(older).unwrap(), &plan("x")).is_none());
        assert!(StoredCalls::parse(r#"[{"model": "m"}]"#).is_err());
    }

    #[test]
    fn what_failed_is_known_to_have_failed_and_what_was_spared_is_not_known() {
        let plan = |label, cost| plan(&[("m", cost)], &rule(label));
        for status in [Status::Timeout, Status::Throttled, Status::Failed] {
            let calls = stored(&plan("x", 1.0), |_| Call::without_scores(status, Duration::ZERO));
            let call = recalled(&calls, &plan("x", 1.0)).unwrap();
            assert_eq!((call.status, &*call.scores), (status, &[None][..]));
            assert!(recalled(&calls, &plan("y", 1.0)).is_none());
            assert!(recalled(&calls, &plan("x", 2.0)).is_none());
        }
        let calls = stored(&plan("x", 1.0), |_| Call::skipped());
        assert!(recalled(&calls, &plan("x", 1.0)).is_none());
    }

    #[test]
    fn a_timeout_is_not_known_where_the_call_need_not_wait_for_another_that_it_waited_for() {
        let plan = |when: &str| {
            let cheap = json!({"model": "cheap", "label": "x", "when": when});
            let dear = json!({"model": "dear", "label": "x", "reject_at": 0.5});
            plan(&[("cheap", 1.0), ("dear", 5.0)], &json!({"cheap": cheap, "dear": dear}))
        };
        let content = content();
        let is_known = |calls: &StoredCalls<'_>, when: &str| {
            let plan = plan(when);
            decide(&plan, &content, calls.recall(&plan, &content)).is_known
        };
        for (status, expected) in [(Status::Timeout, false), (Status::Throttled, true)] {
            let fail = |_: &str| Call::without_scores(status, Duration::ZERO);
            let calls = stored(&plan("client == 'a'"), fail);
            assert!(is_known(&calls, "client != 'b'"));
            assert_eq!(is_known(&calls, "client == 'b'"), expected, "{status}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_to_the_last_bit() {
        let rule = rule("x").to_string();
        let policy = policy(&[MODEL, ("scopes/platform", &format!(r#"{{"rules": {rule}}}"#))]);
        let plan = policy.unwrap().plan(&ScopePath::Platform).unwrap();
        let score = 0.1_f64 + 0.2;
        let calls = stored(&plan, |_| ok(&[("x", score)]));
        assert_eq!(recalled(&calls, &plan).unwrap().scores, [Some(score)]);
    }
}
