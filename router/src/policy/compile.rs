//! Compiles merged options to a plan; what cannot be run is refused here, never at a verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::merge::{Merged, MergedRule};
use super::model::{Model, Stage};
use super::name::Name;
use super::plan::{Plan, PlannedCall, Rule};
use super::scope::{Direction, Label};
use super::scope_path::ScopePath;
use crate::problem::Problem;

/// The registered models.
pub(crate) type Models = BTreeMap<Name, Arc<Model>>;

/// Holds where no scope sets a deadline.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The plan of `scope`, whose merged options are given.
pub(crate) fn compile(
    scope: &ScopePath,
    options: Merged,
    models: &Models,
) -> Result<Plan, Problem> {
    let defaults = options.defaults;
    let mut plan = Plan {
        base: defaults.decision.map(|d| d.value).unwrap_or_default(),
        deadline: defaults.deadline_ms.map_or(DEFAULT_DEADLINE, |d| d.value.into()),
        calls: Vec::new(),
        rules: Vec::new(),
    };
    for (name, rule) in options.rules {
        let fault = |(field, detail): Fault| {
            Problem::invalid(format!("`{scope}`: rules.{name}.{field}: {detail}"))
        };
        let checked = check(&rule, models).map_err(fault)?;
        if let Some((model, label)) = checked {
            plan.add(name.clone(), rule, (model, label));
        }
    }
    Ok(plan)
}

/// The field at fault, and what is wrong with it.
type Fault = (&'static str, String);

/// The model and label of a rule that takes part, nothing for one that does not.
fn check(rule: &MergedRule, models: &Models) -> Result<Option<(Arc<Model>, Label)>, Fault> {
    check_thresholds(rule)?;
    let model = rule.model.as_ref().map(|name| find_model(&name.value, models)).transpose()?;
    if rule.enabled.as_ref().is_some_and(|enabled| !enabled.value) {
        return Ok(None);
    }
    let model = model.ok_or_else(|| missing("model"))?;
    let label = rule.label.as_ref().ok_or_else(|| missing("label"))?;
    Ok(Some((model, label.value.clone())))
}

fn find_model(name: &Name, models: &Models) -> Result<Arc<Model>, Fault> {
    let fault = |detail: &str| ("model", format!("model `{name}` is {detail}"));
    let model = models.get(name).ok_or_else(|| fault("not registered; PUT it first"))?;
    if model.document.stage == Stage::Shadow {
        return Err(fault("at stage `shadow`, whose answers do not count; name a live one"));
    }
    Ok(Arc::clone(model))
}

fn missing(field: &'static str) -> Fault {
    (field, "missing; set it here or in a scope above, or disable the rule".to_owned())
}

fn check_thresholds(rule: &MergedRule) -> Result<(), Fault> {
    let (Some(review), Some(reject)) = (&rule.review_at, &rule.reject_at) else { return Ok(()) };
    let in_order = match direction(rule) {
        Direction::Above => review.value <= reject.value,
        Direction::Below => review.value >= reject.value,
    };
    if in_order {
        return Ok(());
    }
    Err((
        "review_at",
        format!(
            "{} (set by `{}`) is stricter than reject_at {} (set by `{}`); review must come first",
            review.value.0, review.set_by, reject.value.0, reject.set_by
        ),
    ))
}

fn direction(rule: &MergedRule) -> Direction {
    rule.direction.as_ref().map(|d| d.value).unwrap_or_default()
}

impl Plan {
    fn add(&mut self, name: Name, rule: MergedRule, (model, label): (Arc<Model>, Label)) {
        let direction = direction(&rule);
        let call = position(
            &mut self.calls,
            |call| call.model.name == model.name,
            || PlannedCall { model: Arc::clone(&model), labels: Vec::new() },
        );
        let labels = &mut self.calls[call].labels;
        let label = position(labels, |known| *known == label, || label.clone());
        let MergedRule { review_at, reject_at, on_failure, .. } = rule;
        self.rules.push(Rule { name, call, label, direction, review_at, reject_at, on_failure });
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
    use crate::policy::Policy;

    fn with_rule(rule: &str) -> Result<Policy, Problem> {
        let platform = format!(r#"{{"rules": {{"spam": {rule}}}}}"#);
        policy(&[MODEL, ("scopes/platform", &platform)])
    }

    #[test]
    fn a_rule_that_cannot_run_is_refused_by_scope_rule_and_field() {
        let cases = [
            (r#"{"label": "spam"}"#, "model: missing"),
            (r#"{"model": "m"}"#, "label: missing"),
            (r#"{"model": "x", "label": "spam"}"#, "model: model `x` is not registered"),
            (r#"{"model": "x", "enabled": false}"#, "model: model `x` is not registered"),
            (
                r#"{"model": "m", "label": "l", "review_at": 0.9, "reject_at": 0.5}"#,
                "review_at: 0.9",
            ),
            (
                r#"{"model": "m", "label": "l", "direction": "below", "review_at": 0.1, "reject_at": 0.2}"#,
                "review_at: 0.1",
            ),
        ];
        for (rule, fault) in cases {
            let detail = with_rule(rule).unwrap_err().detail;
            assert!(
                detail.starts_with(&format!("`platform`: rules.spam.{fault}")),
                "{rule}: {detail}"
            );
        }
    }

    #[test]
    fn a_shadow_is_registered_and_no_rule_may_use_it() {
        let shadow =
            ("models/m-shadow", r#"{"endpoint": {"sagemaker": "m-b"}, "stage": "shadow"}"#);
        assert!(policy(&[MODEL, shadow]).is_ok());
        let rule = r#"{"rules": {"spam": {"model": "m-shadow", "label": "spam"}}}"#;
        let fault = policy(&[MODEL, shadow, ("scopes/platform", rule)]).unwrap_err().detail;
        let expected = "`platform`: rules.spam.model: model `m-shadow` is at stage `shadow`";
        assert!(fault.starts_with(expected), "{fault}");
    }

    #[test]
    fn equal_thresholds_and_incomplete_but_disabled_rules_are_fine() {
        for rule in [
            r#"{"model": "m", "label": "l", "review_at": 0.5, "reject_at": 0.5}"#,
            r#"{"model": "m", "label": "l", "direction": "below", "review_at": 0.5, "reject_at": 0.2}"#,
            r#"{"enabled": false}"#,
        ] {
            assert!(with_rule(rule).is_ok(), "{rule}");
        }
    }

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
}
