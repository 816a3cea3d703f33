//! The course of one verdict through the stages of its plan: what to call next, what is known.

use std::collections::HashSet;

use super::content::Content;
use super::decide::Verdict;
use super::judge::{Cause, Finding, judge, pass};
use crate::fanout::call::Call;
use crate::policy::plan::{Plan, Rule, Stage};
use crate::policy::scope::Outcome;

/// A verdict in the making: a pure function of plan, content and the calls' results.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    plan: &'a Plan,
    content: &'a Content,
    /// How many stages have begun.
    begun: usize,
    /// One for each rule.
    rules: Vec<State<'a>>,
    /// One for each call.
    calls: Vec<Slot>,
    /// The verdict, if nothing stricter comes.
    decision: Outcome,
}

/// What became of a call.
#[derive(Debug)]
enum Slot {
    NotMade,
    Made(Call),
    /// It would be made, but only its results of another time are at hand, and this is not one.
    Unknown,
}

/// How far a rule has come.
#[derive(Clone, Debug)]
enum State<'a> {
    /// Whether it takes part is not known yet.
    Waiting,
    /// It takes part, perhaps because its `when` could not be evaluated.
    TakesPart(Option<String>),
    /// Nothing will change any more.
    Settled(Finding<'a>),
}

/// Whether a rule takes part.
enum Part {
    Yes(Option<String>),
    No(Cause),
    NotYet,
}

impl<'a> Course<'a> {
    pub(super) fn new(plan: &'a Plan, content: &'a Content) -> Self {
        Self {
            plan,
            content,
            begun: 0,
            rules: vec![State::Waiting; plan.rules.len()],
            calls: plan.calls.iter().map(|_| Slot::NotMade).collect(),
            decision: plan.base,
        }
    }

    /// Begins the next stage: the indices of the calls to make for it, perhaps none at all; `None`
    /// after the last. Their results are to be given to [`Self::settle`] in any case.
    pub(super) fn begin_stage(&mut self) -> Option<Vec<usize>> {
        let stage = self.plan.stages.get(self.begun)?;
        stage.rules.iter().for_each(|rule| self.consider(*rule));
        let open = self.begun == 0 || self.could_change(stage);
        self.begun += 1;
        let needs = |rule: &&usize| {
            let is_open = !matches!(self.rules[**rule], State::Settled(_));
            is_open && (open || self.plan.rules[**rule].required)
        };
        let needing = stage.rules.iter().filter(needs);
        let needed: HashSet<usize> = needing.map(|rule| self.plan.rules[*rule].call).collect();
        Some(stage.calls.iter().copied().filter(|call| needed.contains(call)).collect())
    }

    /// Ends the stage that was begun, with what became of its calls: nothing where nobody knows.
    pub(super) fn settle(&mut self, results: impl IntoIterator<Item = (usize, Option<Call>)>) {
        for (call, result) in results {
            self.calls[call] = result.map_or(Slot::Unknown, Slot::Made);
        }
        let plan = self.plan;
        for &index in &plan.stages[self.begun - 1].rules {
            self.consider(index);
            let State::TakesPart(when_error) = &mut self.rules[index] else { continue };
            let when_error = when_error.take();
            let rule = &plan.rules[index];
            let finding = match &self.calls[rule.call] {
                Slot::Made(call) => Finding { when_error, ..judge(rule, call) },
                Slot::NotMade => pass(rule, Cause::Spared),
                Slot::Unknown => pass(rule, Cause::Unknown),
            };
            self.decision = self.decision.max(finding.outcome);
            self.rules[index] = State::Settled(finding);
        }
    }

    /// The verdict, once there is no more stage.
    pub(super) fn end(self) -> Verdict<'a> {
        let findings = self.rules.into_iter().filter_map(|state| match state {
            State::Settled(finding) => Some(finding),
            State::Waiting | State::TakesPart(_) => None,
        });
        let calls = self.calls.into_iter().map(|slot| match slot {
            Slot::Made(call) => call,
            Slot::NotMade | Slot::Unknown => Call::skipped(),
        });
        Verdict::new(self.plan, findings.collect(), calls.collect())
    }

    /// Finds out whether a rule takes part, as soon as all that it looks at is settled.
    fn consider(&mut self, index: usize) {
        if !matches!(self.rules[index], State::Waiting) {
            return;
        }
        let rule = &self.plan.rules[index];
        self.rules[index] = match self.part(rule) {
            Part::Yes(when_error) => State::TakesPart(when_error),
            Part::No(cause) => State::Settled(pass(rule, cause)),
            Part::NotYet => State::Waiting,
        };
    }

    fn part(&self, rule: &Rule) -> Part {
        let Some(when) = &rule.when else { return Part::Yes(None) };
        let mut seen = Vec::with_capacity(rule.looks_at.len());
        for &index in &rule.looks_at {
            let State::Settled(finding) = &self.rules[index] else { return Part::NotYet };
            seen.push(finding);
        }
        // What was spared could not change the verdict, and neither could those that look at it.
        for cause in [Cause::Spared, Cause::Unknown] {
            if seen.iter().any(|finding| finding.cause == Some(cause)) {
                return Part::No(cause);
            }
        }
        let score =
            |name: &str| seen.iter().find(|finding| finding.rule.name.as_str() == name)?.score;
        match when.holds(&self.content.facts(&score)) {
            Ok(true) => Part::Yes(None),
            Ok(false) => Part::No(Cause::When),
            Err(error) => Part::Yes(Some(error)),
        }
    }

    /// Whether a rule of the stage, or one that looks at it, could make the verdict stricter.
    fn could_change(&self, stage: &Stage) -> bool {
        let is_open = |rule: &usize| !matches!(self.rules[*rule], State::Settled(_));
        let reach = |rule: &usize| self.plan.rules[*rule].reach;
        stage.rules.iter().any(|rule| is_open(rule) && reach(rule) > self.decision)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::fanout::call::Status;
    use crate::moderation::decide::decide;
    use crate::policy::example::policy;
    use crate::policy::scope_path::ScopePath;

    /// The plan of rules on models of the costs 1, 2 and 3, for the label `x`; `m9` is disabled.
    fn plan(rules: &str) -> Arc<Plan> {
        let mut rules: serde_json::Value = serde_json::from_str(rules).unwrap();
        for rule in rules.as_object_mut().unwrap().values_mut() {
            rule["label"] = "x".into();
        }
        let platform = serde_json::json!({ "rules": rules }).to_string();
        let model = |rest: &str| format!(r#"{{"endpoint": {{"sagemaker": "m"}}, {rest}}}"#);
        let models = [1, 2, 3].map(|cost| model(&format!(r#""cost": {cost}"#)));
        let disabled = model(r#""enabled": false"#);
        let documents = [
            ("models/m1", &*models[0]),
            ("models/m2", &models[1]),
            ("models/m3", &models[2]),
            ("models/m9", &disabled),
            ("scopes/platform", &platform),
        ];
        policy(&documents).unwrap().plan(&ScopePath::Platform).unwrap()
    }

    fn content(rest: &str) -> Content {
        let text = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}"#;
        Content::parse(&format!("{text}{rest}}}"), "text").unwrap()
    }

    /// Which models are asked, and what each rule says: its outcome, or why it has no score.
    fn run(plan: &Plan, content: &Content, scores: &[(&str, f64)]) -> (String, Vec<String>) {
        let scores: BTreeMap<_, _> = scores.iter().copied().collect();
        let mut asked = Vec::new();
        let verdict = decide(plan, content, |call| {
            let name = call.model.name.as_str();
            asked.push(name.to_owned());
            let score = scores.get(name)?;
            let nothing = Call::without_scores(Status::Ok, Duration::ZERO);
            Some(Call { scores: vec![*score], ..nothing })
        });
        let said = |finding: &Finding<'_>| match finding.cause {
            None => finding.outcome.as_str().to_owned(),
            Some(cause) => format!("{}: {cause:?}", finding.outcome.as_str()),
        };
        (asked.join(" "), verdict.findings.iter().map(said).collect())
    }

    #[test]
    fn a_stage_that_cannot_change_the_verdict_is_spared() {
        let plan = plan(
            r#"{"a": {"model": "m1", "reject_at": 0.9, "review_at": 0.5}, "b": {"model": "m2", "review_at": 0.5},
                "c": {"model": "m3", "reject_at": 0.9}}"#,
        );
        let content = content("");
        let run = |score: f64| run(&plan, &content, &[("m1", score), ("m2", 0.0), ("m3", 0.0)]);
        let (all, spared) = ("m1 m2 m3".to_owned(), "approve: Spared");
        assert_eq!(run(0.1), (all, vec!["approve".to_owned(); 3]));
        assert_eq!(
            run(0.6),
            ("m1 m3".to_owned(), ["review", spared, "approve"].map(str::to_owned).into())
        );
        assert_eq!(
            run(0.9),
            ("m1".to_owned(), ["reject", spared, spared].map(str::to_owned).into())
        );
    }

    #[test]
    fn a_required_rule_is_judged_with_all_that_it_looks_at() {
        let plan = plan(
            r#"{"a": {"model": "m1", "reject_at": 0.9}, "b": {"model": "m2", "review_at": 0.5},
                "c": {"model": "m3", "review_at": 0.5, "required": true, "when": "scores.b > 0.1"}}"#,
        );
        let (asked, said) = run(&plan, &content(""), &[("m1", 0.9), ("m2", 0.2), ("m3", 0.7)]);
        assert_eq!((asked.as_str(), said[2].as_str()), ("m1 m2 m3", "review"));
        let (asked, said) = run(&plan, &content(""), &[("m1", 0.9), ("m2", 0.1), ("m3", 0.7)]);
        assert_eq!((asked.as_str(), said[2].as_str()), ("m1 m2", "approve: When"));
    }

    #[test]
    fn a_rule_takes_part_for_the_contents_that_it_is_for() {
        let plan = plan(
            r#"{"a": {"model": "m1", "review_at": 0.5, "when": "content.rating <= 2"},
                "b": {"model": "m2", "review_at": 0.5, "when": "scores.a > 0.5"}}"#,
        );
        let run = |rest: &str, a| run(&plan, &content(rest), &[("m1", a), ("m2", 0.9)]);
        let said = |said: [&str; 2]| said.map(str::to_owned).to_vec();
        assert_eq!(
            run(r#", "rating": 5"#, 0.9),
            ("m2".to_owned(), said(["approve: When", "review"]))
        );
        assert_eq!(
            run(r#", "rating": 1"#, 0.4),
            ("m1".to_owned(), said(["approve", "approve: When"]))
        );
        let content = content("");
        let verdict = decide(&plan, &content, |_| Some(Call::skipped()));
        assert!(verdict.findings[0].when_error.as_ref().unwrap().contains("content.rating"));
        assert!(verdict.degraded);
    }

    #[test]
    fn rules_of_a_disabled_model_follow_on_failure_without_a_call() {
        let plan = plan(r#"{"a": {"model": "m9", "on_failure": "reject"}}"#);
        let expected = vec!["reject: Failure(Skipped)".to_owned()];
        assert_eq!(run(&plan, &content(""), &[]), (String::new(), expected));
    }

    #[test]
    fn a_verdict_is_known_where_no_unknown_score_could_change_it() {
        let plan = plan(
            r#"{"a": {"model": "m1", "reject_at": 0.9, "review_at": 0.5},
                "b": {"model": "m2", "review_at": 0.5}}"#,
        );
        let content = content("");
        let is_known = |score: f64| {
            let verdict = decide(&plan, &content, |call| {
                let scores = (call.model.name.as_str() == "m1").then(|| vec![score])?;
                Some(Call { scores, ..Call::without_scores(Status::Ok, Duration::ZERO) })
            });
            (verdict.decision.as_str(), verdict.is_known)
        };
        assert_eq!(is_known(0.1), ("approve", false));
        assert_eq!(is_known(0.6), ("review", true));
        assert_eq!(is_known(0.9), ("reject", true));
        assert!(!decide(&plan, &content, |_| None).is_known);
    }
}
