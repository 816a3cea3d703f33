//! The decision itself: a pure function of a plan, a content and the calls' results.

use super::content::Content;
use super::course::Course;
use super::judge::{Cause, Finding};
use crate::fanout::call::Call;
use crate::policy::plan::{Plan, PlannedCall};
use crate::policy::scope::Outcome;

/// What was decided, and what every rule had to say.
#[derive(Debug)]
pub(crate) struct Verdict<'a> {
    /// The strictest outcome of all rules, and of the plan's base; where it is not known, at least
    /// this.
    pub(crate) decision: Outcome,
    /// One for each rule, in the plan's order.
    pub(crate) findings: Vec<Finding<'a>>,
    /// One for each model, in the plan's order.
    pub(crate) calls: Vec<(&'a PlannedCall, Call)>,
    /// Whether a score that is missing could have changed the decision.
    pub(crate) degraded: bool,
    /// Whether the decision is certain; only one replayed on stored scores may not be.
    pub(crate) is_known: bool,
    /// The probability with which the content is drawn for people to look at.
    pub(crate) inclusion_probability: f64,
}

/// Decides by calls that are over. `results` gives what became of a call of the plan, and nothing
/// where that is not known: where no such score can matter, the verdict is known all the same.
pub(crate) fn decide<'a>(
    plan: &'a Plan,
    content: &'a Content,
    mut results: impl FnMut(&PlannedCall) -> Option<Call>,
) -> Verdict<'a> {
    let mut course = Course::new(plan, content);
    while let Some(wanted) = course.begin_stage() {
        for call in wanted {
            let planned: &PlannedCall = &plan.calls[call];
            let enabled = planned.model.document.enabled;
            course.settle(call, if enabled { results(planned) } else { Some(Call::skipped()) });
        }
    }
    course.end()
}

impl<'a> Verdict<'a> {
    /// The verdict of a plan whose rules and calls are all through.
    pub(super) fn new(plan: &'a Plan, findings: Vec<Finding<'a>>, calls: Vec<Call>) -> Self {
        let strictest = findings.iter().map(|finding| finding.outcome).max();
        let decision = plan.base.max(strictest.unwrap_or_default());
        let unknown = findings.iter().filter(|finding| finding.cause == Some(Cause::Unknown));
        Self {
            decision,
            degraded: is_degraded(plan, &findings),
            is_known: unknown.map(|finding| finding.rule.bound()).all(|bound| bound <= decision),
            inclusion_probability: inclusion_probability(plan, &findings),
            calls: plan.calls.iter().map(|planned| &**planned).zip(calls).collect(),
            findings,
        }
    }
}

impl Verdict<'_> {
    /// The findings that made the decision; an approval needs no reason.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &Finding<'_>> {
        let decision = self.decision;
        self.findings
            .iter()
            .filter(move |finding| decision != Outcome::Approve && finding.outcome == decision)
    }
}

/// Whether a score that is missing could have changed the decision: that of a rule without one, or
/// of a rule that took part because of one, if its outcome may be stricter than all that is certain.
fn is_degraded(plan: &Plan, findings: &[Finding<'_>]) -> bool {
    let mut uncertain = vec![false; findings.len()];
    // Rules come after those that they look at.
    for index in plan.stages.iter().flat_map(|stage| stage.rules.iter().copied()) {
        let finding = &findings[index];
        let looks_at = &finding.rule.looks_at;
        uncertain[index] = finding.has_failed() || looks_at.iter().any(|seen| uncertain[*seen]);
    }
    let certain = findings.iter().zip(&uncertain).filter(|(_, uncertain)| !**uncertain);
    let certain = certain.map(|(finding, _)| finding.outcome).fold(plan.base, Outcome::max);
    let mut doubtful = findings.iter().zip(uncertain).filter(|(_, uncertain)| *uncertain);
    doubtful.any(|(finding, _)| finding.rule.bound() > certain)
}

/// The content is drawn if the default draws it, or any of the rules that judged it.
fn inclusion_probability(plan: &Plan, findings: &[Finding<'_>]) -> f64 {
    let judged = findings.iter().filter(|finding| finding.took_part());
    let passed_over = judged.map(|finding| 1.0 - finding.rule.terms.sample).product::<f64>();
    1.0 - (1.0 - plan.sample) * passed_over
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::fanout::call::Status;
    use crate::policy::example::{MODEL, policy};
    use crate::policy::scope::Direction;
    use crate::policy::scope_path::ScopePath;

    /// The verdict of a plan of one call.
    fn decide<'a>(plan: &'a Plan, calls: &[Call; 1]) -> Verdict<'a> {
        super::decide(plan, &CONTENT, |_| Some(calls[0].clone()))
    }

    static CONTENT: LazyLock<Content> = LazyLock::new(|| {
        let text = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}}"#;
        Content::parse(text, "text").unwrap()
    });

    #[test]
    fn a_score_at_a_threshold_crosses_it() {
        let plan = plan(r#"{"r": {"review_at": 0.5, "reject_at": 0.9}}"#);
        let outcome = |score| decide(&plan, &[ok(&[score])]).decision;
        assert_eq!(outcome(0.499), Outcome::Approve);
        assert_eq!(outcome(0.5), Outcome::Review);
        assert_eq!(outcome(0.899), Outcome::Review);
        assert_eq!(outcome(0.9), Outcome::Reject);
    }

    #[test]
    fn with_direction_below_low_scores_are_bad() {
        let plan = plan(r#"{"r": {"direction": "below", "review_at": 0.5, "reject_at": 0.1}}"#);
        let outcome = |score| decide(&plan, &[ok(&[score])]).decision;
        assert_eq!(outcome(0.501), Outcome::Approve);
        assert_eq!(outcome(0.5), Outcome::Review);
        assert_eq!(outcome(0.1), Outcome::Reject);
    }

    #[test]
    fn one_threshold_or_none_is_enough() {
        let reject_only = plan(r#"{"r": {"reject_at": 0.9}}"#);
        assert_eq!(decide(&reject_only, &[ok(&[0.8])]).decision, Outcome::Approve);
        assert_eq!(decide(&reject_only, &[ok(&[0.9])]).decision, Outcome::Reject);
        let review_only = plan(r#"{"r": {"review_at": 0.5}}"#);
        assert_eq!(decide(&review_only, &[ok(&[1.0])]).decision, Outcome::Review);
        assert_eq!(decide(&plan(r#"{"r": {}}"#), &[ok(&[1.0])]).decision, Outcome::Approve);
    }

    #[test]
    fn a_reason_names_the_threshold_crossed_and_who_set_it() {
        let plan = plan(r#"{"r": {"review_at": 0.5, "reject_at": 0.9}}"#);
        let calls = [ok(&[0.7])];
        let verdict = decide(&plan, &calls);
        let reason = verdict.reasons().next().unwrap();
        assert_eq!((reason.threshold, reason.score), (Some(0.5), Some(0.7)));
        assert_eq!(reason.set_by, Some(&ScopePath::Platform));
        assert_eq!(reason.cause, None);
    }

    #[test]
    fn reasons_are_the_rules_that_made_the_decision() {
        let plan = plan(
            r#"{"a": {"reject_at": 0.5}, "b": {"review_at": 0.5}, "c": {"reject_at": 0.4}, "d": {}}"#,
        );
        let calls = [ok(&[0.6])];
        let verdict = decide(&plan, &calls);
        let names: Vec<_> = verdict.reasons().map(|finding| finding.rule.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(verdict.findings.len(), 4);
    }

    #[test]
    fn an_approval_has_no_reasons() {
        let plan = plan(r#"{"r": {"review_at": 0.5}}"#);
        assert_eq!(decide(&plan, &[ok(&[0.0])]).reasons().count(), 0);
    }

    #[test]
    fn without_a_score_a_rule_does_what_its_options_say() {
        for (option, expected) in [
            ("", Outcome::Review),
            (r#""on_failure": "approve""#, Outcome::Approve),
            (r#""on_failure": "review""#, Outcome::Review),
            (r#""on_failure": "reject""#, Outcome::Reject),
        ] {
            let plan = plan(&format!(r#"{{"r": {{{option}}}}}"#));
            for status in [Status::Timeout, Status::Throttled, Status::Failed, Status::Skipped] {
                let calls = [Call { status, ..Call::skipped() }];
                let verdict = decide(&plan, &calls);
                let finding = &verdict.findings[0];
                // What could approve at worst is as sure as with its score.
                let is_degraded = expected > Outcome::Approve;
                assert_eq!((verdict.decision, verdict.degraded), (expected, is_degraded));
                assert_eq!((finding.score, finding.threshold), (None, None));
                assert_eq!(finding.cause, Some(Cause::Failure(status)));
                assert_eq!(finding.set_by.is_some(), !option.is_empty());
            }
        }
    }

    #[test]
    fn the_base_decision_holds_where_no_rule_is_stricter() {
        let platform = r#"{"defaults": {"decision": "review"},
                           "rules": {"r": {"model": "m", "label": "x", "reject_at": 0.5}}}"#;
        let policy = policy(&[MODEL, ("scopes/platform", platform)]).unwrap();
        let plan = policy.plan(&ScopePath::Platform).unwrap();
        let calls = [ok(&[0.1])];
        let verdict = decide(&plan, &calls);
        assert_eq!((verdict.decision, verdict.reasons().count()), (Outcome::Review, 0));
        assert_eq!(decide(&plan, &[ok(&[0.5])]).decision, Outcome::Reject);
    }

    proptest! {
        #[test]
        fn the_strictest_outcome_wins(rules in rules()) {
            let (plan, calls) = planned(&rules);
            let verdict = decide(&plan, &calls);
            let (rejects, reviews) = rules.iter().fold((false, false), |seen, &(above, a, b, score)| {
                let (low, high) = (f64::min(a, b), f64::max(a, b));
                let (reject, review) = if above { (score >= high, score >= low) } else { (score <= low, score <= high) };
                (seen.0 || reject, seen.1 || review)
            });
            let expected = if rejects { "reject" } else if reviews { "review" } else { "approve" };
            prop_assert_eq!(verdict.decision.as_str(), expected);
            for finding in verdict.reasons() {
                prop_assert_eq!(finding.outcome, verdict.decision);
            }
        }

        #[test]
        fn the_order_of_rules_is_irrelevant(rules in rules()) {
            let (plan, calls) = planned(&rules);
            let expected = decide(&plan, &calls).decision;
            let (plan, calls) = planned(&rules.into_iter().rev().collect::<Vec<_>>());
            prop_assert_eq!(decide(&plan, &calls).decision, expected);
        }

        #[test]
        fn a_higher_score_is_never_milder_above(rules in rules(), which in 0_usize..8, by in 0.0..1.0) {
            let (plan, mut calls) = planned(&rules);
            let before = decide(&plan, &calls).decision;
            let which = which % rules.len();
            let rule = plan.rules.iter().find(|rule| rule.label == which).unwrap();
            let milder_below = rule.terms.direction == Direction::Below;
            let score = calls[0].scores[which].as_mut().unwrap();
            *score = f64::min(1.0, *score + by);
            let after = decide(&plan, &calls).decision;
            let is_fine = if milder_below { after <= before } else { after >= before };
            prop_assert!(is_fine, "{:?} became {:?}", before, after);
        }
    }

    /// Direction, two thresholds and a score for each of some rules.
    fn rules() -> impl Strategy<Value = Vec<(bool, f64, f64, f64)>> {
        prop::collection::vec((any::<bool>(), 0.0..=1.0, 0.0..=1.0, 0.0..=1.0), 1..8)
    }

    fn planned(rules: &[(bool, f64, f64, f64)]) -> (Arc<Plan>, [Call; 1]) {
        let options = rules.iter().enumerate().map(|(i, &(above, a, b, _))| {
            let (low, high) = (f64::min(a, b), f64::max(a, b));
            let (direction, review, reject) = if above { ("above", low, high) } else { ("below", high, low) };
            format!(
                r#""r{i}": {{"label": "l{i}", "direction": "{direction}", "review_at": {review}, "reject_at": {reject}}}"#
            )
        });
        let options = options.collect::<Vec<_>>().join(", ");
        let scores: Vec<f64> = rules.iter().map(|rule| rule.3).collect();
        (plan(&format!("{{{options}}}")), [ok(&scores)])
    }

    /// The plan of rules that all ask one model, for the label `x` unless they say another.
    fn plan(rules: &str) -> Arc<Plan> {
        let mut rules: serde_json::Value = serde_json::from_str(rules).unwrap();
        for rule in rules.as_object_mut().unwrap().values_mut() {
            rule["model"] = "m".into();
            rule.as_object_mut().unwrap().entry("label").or_insert("x".into());
        }
        let platform = serde_json::json!({ "rules": rules }).to_string();
        let policy = policy(&[MODEL, ("scopes/platform", &platform)]).unwrap();
        policy.plan(&ScopePath::Platform).unwrap()
    }

    fn ok(scores: &[f64]) -> Call {
        Call {
            status: Status::Ok,
            scores: scores.iter().copied().map(Some).collect(),
            ..Call::without_scores(Status::Ok, Duration::ZERO)
        }
    }
}
