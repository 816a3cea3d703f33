//! Compiles checked options to a plan: what to call in which stage, what to judge by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Models;
use super::condition::When;
use super::fingerprint::Fingerprint;
use super::merge::{Merged, MergedRule};
use super::name::Name;
use super::order::sort;
use super::plan::{Plan, PlannedCall, Rule, Stage, Terms};
use super::scope::{Label, Share};

/// Holds where no scope sets a deadline.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The plan of options that have been checked against these models, below a scope with the plan
/// `above`.
pub(super) fn compile(options: &Merged, models: &Models, above: Option<&Plan>) -> Plan {
    let defaults = &options.defaults;
    let mut plan = Plan {
        base: defaults.decision.as_ref().map(|d| d.value).unwrap_or_default(),
        deadline: defaults.deadline_ms.as_ref().map_or(DEFAULT_DEADLINE, |d| d.value.into()),
        sample: share(defaults.sample.as_ref().map(|sample| sample.value)),
        calls: Vec::new(),
        rules: Vec::new(),
        stages: Arc::default(),
        failing: Fingerprint::default(),
    };
    for (name, rule) in options.rules.iter().filter(|(_, rule)| rule.is_enabled()) {
        plan.add(name, rule, models);
    }
    plan.shrink();
    plan.find_looks();
    let order = plan.order();
    plan.pass_on(&order);
    plan.stages = Arc::new(plan.stages(&order));
    plan.failing = plan.failing();
    above.into_iter().for_each(|above| plan.share(above));
    plan
}

fn share(share: Option<Share>) -> f64 {
    share.map_or(0.0, |share| share.0)
}

impl Plan {
    fn add(&mut self, name: &Name, options: &MergedRule, models: &Models) {
        let (call, label) = self.place(options, models);
        let terms = Terms {
            direction: options.direction(),
            review_at: options.review_at.clone(),
            reject_at: options.reject_at.clone(),
            on_failure: options.on_failure.clone(),
            sample: share(options.sample.as_ref().map(|sample| sample.value)),
            when: options.when.as_ref().map(|when| Arc::new(When::new(&when.value))),
        };
        let mut rule = Rule {
            name: name.clone(),
            terms: Arc::new(terms),
            call,
            label,
            looks_at: Vec::new(),
            reach: Default::default(),
            required: options.required.as_ref().is_some_and(|required| required.value),
        };
        rule.reach = rule.bound();
        self.rules.push(rule);
    }

    /// The call and the label in it that a rule needs, added where they are missing.
    fn place(&mut self, options: &MergedRule, models: &Models) -> (usize, usize) {
        let checked = "an enabled rule has a registered model and a label";
        let model = options.model.as_ref().and_then(|name| models.get(&name.value)).expect(checked);
        let label = &options.label.as_ref().expect(checked).value;
        let call = position(
            &mut self.calls,
            |call| call.model.name == model.name,
            || Arc::new(PlannedCall { model: Arc::clone(model), labels: Vec::new() }),
        );
        let planned = Arc::get_mut(&mut self.calls[call]);
        let labels = &mut planned.expect("a plan in the making shares nothing").labels;
        (call, position(labels, |known: &Label| known == label, || label.clone()))
    }

    /// Gives back what was set apart for more rules and calls: plans are kept by the thousand.
    fn shrink(&mut self) {
        self.rules.shrink_to_fit();
        self.calls.shrink_to_fit();
        for call in self.calls.iter_mut().filter_map(Arc::get_mut) {
            call.labels.shrink_to_fit();
        }
    }

    fn find_looks(&mut self) {
        for index in 0..self.rules.len() {
            let Some(when) = self.rules[index].terms.when.clone() else { continue };
            let find = |name| self.rules.binary_search_by(|rule| rule.name.cmp(name));
            let found =
                when.condition.rules().iter().map(|name| find(name).expect("it is enabled too"));
            self.rules[index].looks_at = found.collect();
        }
    }

    /// All rules, each after those that it looks at.
    fn order(&self) -> Vec<usize> {
        let looks: Vec<_> = self.rules.iter().map(|rule| rule.looks_at.clone()).collect();
        sort(&looks).expect("looks in a circle were refused")
    }

    /// Lets each rule know what depends on it.
    fn pass_on(&mut self, order: &[usize]) {
        for &index in order.iter().rev() {
            let Rule { reach, required, .. } = self.rules[index];
            for seen in self.rules[index].looks_at.clone() {
                let seen = &mut self.rules[seen];
                seen.reach = seen.reach.max(reach);
                seen.required |= required;
            }
        }
    }

    /// The cheapest of the calls that need to wait for no other, and so on.
    fn stages(&self, order: &[usize]) -> Vec<Stage> {
        let waits = self.waits();
        let cost = |call: &usize| self.calls[*call].model.document.cost;
        let mut stages = Vec::new();
        let mut open: Vec<usize> = (0..self.calls.len()).collect();
        while !open.is_empty() {
            let is_ready = |call: &usize| !waits[*call].iter().any(|other| open.contains(other));
            let mut calls: Vec<usize> = open.iter().copied().filter(is_ready).collect();
            let costs = calls.iter().map(cost);
            let least = costs.min_by(|a, b| a.0.total_cmp(&b.0));
            calls.retain(|call| least == Some(cost(call)));
            assert!(!calls.is_empty(), "calls that wait for each other were refused");
            open.retain(|call| !calls.contains(call));
            let is_here = |rule: &usize| calls.contains(&self.rules[*rule].call);
            let mut rules: Vec<usize> = order.iter().copied().filter(is_here).collect();
            calls.shrink_to_fit();
            rules.shrink_to_fit();
            stages.push(Stage { calls, rules });
        }
        stages.shrink_to_fit();
        stages
    }

    /// For each call those that must come before it.
    fn waits(&self) -> Vec<Vec<usize>> {
        let mut waits = vec![Vec::new(); self.calls.len()];
        for rule in &self.rules {
            let seen = rule.looks_at.iter().map(|seen| self.rules[*seen].call);
            waits[rule.call].extend(seen.filter(|call| *call != rule.call));
        }
        waits
    }

    /// The fingerprint of what is asked of whom, and after whom.
    fn failing(&self) -> Fingerprint {
        let call = |index: &usize| {
            let PlannedCall { model, labels } = &*self.calls[*index];
            (&model.name, (model.registration, labels.iter().collect::<BTreeSet<_>>()))
        };
        let stage = |stage: &Stage| stage.calls.iter().map(call).collect::<BTreeMap<_, _>>();
        Fingerprint::of(&self.stages.iter().map(stage).collect::<Vec<_>>())
    }
}

/// Where the list has a matching item, after adding one if it had none.
fn position<T>(list: &mut Vec<T>, matches: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    list.iter().position(matches).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::super::example::{MODEL, policy};
    use super::*;
    use crate::policy::scope::Outcome;
    use crate::policy::scope_path::ScopePath;

    #[test]
    fn rules_that_share_a_model_share_its_call() {
        let rules = r#"{"rules": {
            "a": {"model": "m", "label": "x"}, "b": {"model": "m", "label": "y"},
            "c": {"model": "m", "label": "x"}, "d": {"model": "m", "label": "z", "enabled": false}}}"#;
        let policy = policy(&[MODEL, ("scopes/platform", rules)]).unwrap();
        let plan = policy.plan(&ScopePath::Platform).unwrap();
        assert_eq!(plan.calls.len(), 1);
        assert_eq!(plan.calls[0].labels.iter().map(Label::as_str).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(plan.rules.iter().map(|rule| rule.label).collect::<Vec<_>>(), [0, 1, 0]);
    }

    /// The plan of one rule for each model: name, cost, and the rest of its options.
    fn plan(rules: &[(&str, f64, &str)]) -> Arc<Plan> {
        let mut documents = Vec::new();
        let mut options = Vec::new();
        for (name, cost, rest) in rules {
            let model = format!(r#"{{"endpoint": {{"sagemaker": "m"}}, "cost": {cost:?}}}"#);
            documents.push((format!("models/{name}"), model));
            options.push(format!(r#""{name}": {{"model": "{name}", "label": "x"{rest}}}"#));
        }
        let platform = format!(r#"{{"rules": {{{}}}}}"#, options.join(", "));
        documents.push(("scopes/platform".to_owned(), platform));
        let documents: Vec<_> = documents.iter().map(|(s, t)| (s.as_str(), t.as_str())).collect();
        policy(&documents).unwrap().plan(&ScopePath::Platform).unwrap()
    }

    fn stages(plan: &Plan) -> Vec<String> {
        let names = |stage: &Stage| {
            stage.calls.iter().map(|c| plan.calls[*c].model.name.as_str()).collect()
        };
        plan.stages.iter().map(names).collect()
    }

    #[test]
    fn cheap_models_are_asked_first_and_those_of_one_cost_together() {
        let one = plan(&[("a", 1.0, ""), ("b", 1.0, "")]);
        assert_eq!(stages(&one), ["ab"]);
        let three = plan(&[("a", 2.0, ""), ("b", 0.5, ""), ("c", 2.0, ""), ("d", 9.0, "")]);
        assert_eq!(stages(&three), ["b", "ac", "d"]);
    }

    #[test]
    fn a_model_waits_for_those_that_its_rules_look_at_however_cheap_it_is() {
        let looking = r#", "when": "scores.b > 0.5""#;
        let plan = plan(&[("a", 1.0, looking), ("b", 5.0, ""), ("c", 3.0, "")]);
        assert_eq!(stages(&plan), ["c", "b", "a"]);
        let same_cost = self::plan(&[("a", 1.0, looking), ("b", 1.0, "")]);
        assert_eq!(stages(&same_cost), ["b", "a"]);
    }

    #[test]
    fn what_fails_depends_on_what_is_asked_of_whom_and_after_whom() {
        let failing =
            |rules: &[(&str, f64, &str)]| serde_json::to_value(plan(rules).failing).unwrap();
        let one = failing(&[("a", 1.0, ""), ("b", 1.0, "")]);
        // As written into decisions that are to be made again by later routers.
        assert_eq!(one, "63506fd3ebc6f60b");
        let milder = r#", "review_at": 0.5, "on_failure": "approve", "required": true"#;
        assert_eq!(failing(&[("b", 1.0, ""), ("a", 1.0, milder)]), one);
        for other in [
            &[("a", 1.0, ""), ("b", 2.0, "")][..],
            &[("a", 1.0, ""), ("b", 1.0, r#", "when": "scores.a > 0.5""#)],
            &[("a", 1.0, "")],
            &[("a", 1.0, ""), ("c", 1.0, "")],
        ] {
            assert_ne!(failing(other), one, "{other:?}");
        }
        let asking = |label: &str| {
            let label = format!(r#"{{"rules": {{"r": {{"model": "m", "label": "{label}"}}}}}}"#);
            policy(&[MODEL, ("scopes/platform", &label)]).unwrap()
        };
        let plan = |label: &str| asking(label).plan(&ScopePath::Platform).unwrap();
        assert_ne!(plan("x").failing, plan("y").failing);
        let time = Duration::from_millis;
        assert_ne!(plan("x").failing_within(time(100)), plan("x").failing_within(time(5000)));
    }

    #[test]
    fn a_rule_reaches_as_far_as_those_that_look_at_it() {
        let mild = r#", "on_failure": "approve""#;
        let plan = plan(&[
            (
                "a",
                1.0,
                &format!(r#"{mild}, "when": "scores.b > 0.5", "reject_at": 0.5, "required": true"#),
            ),
            ("b", 1.0, &format!(r#"{mild}, "when": "scores.c > 0.5""#)),
            ("c", 1.0, mild),
            ("d", 1.0, mild),
        ]);
        let reach: Vec<_> = plan.rules.iter().map(|rule| (rule.reach, rule.required)).collect();
        let far = (Outcome::Reject, true);
        assert_eq!(reach, [far, far, far, (Outcome::Approve, false)]);
    }
}
