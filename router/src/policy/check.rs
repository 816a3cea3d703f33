//! Checks a change for every scope that it touches, from the top down; what cannot be run is
//! refused here, never at a verdict.

use std::collections::HashSet;

use super::Models;
use super::condition::Condition;
use super::lock::{Lock, check_locks};
use super::merge::{Merged, MergedRule, merge};
use super::model::{Model, Stage};
use super::name::Name;
use super::order::check_order;
use super::plans::{PlanKey, Plans};
use super::scope::Direction;
use super::scope_path::ScopePath;
use super::size::Size;
use super::tree::{MAX_DEPTH, Source, Tree, too_deep};
use crate::problem::Problem;

/// What somebody changes.
pub(super) struct Change<'a> {
    /// The scopes as they were.
    pub(super) before: &'a Tree,
    /// Those whose own documents are written.
    pub(super) written: HashSet<&'a ScopePath>,
}

/// Checks the scopes in `changed` and all those below them, and gives each the key of its plan. What
/// was stored before, which is no change of anybody's, may be of any size.
pub(super) fn check(
    (tree, models): (&Tree, &Models),
    changed: &HashSet<ScopePath>,
    plans: &Plans,
    change: Option<Change<'_>>,
) -> Result<Vec<(ScopePath, PlanKey)>, Problem> {
    let mut descent = Descent { tree, models, plans, change, locked: Vec::new(), keys: Vec::new() };
    let mut changed_in_order: Vec<_> = changed.iter().collect();
    changed_in_order.sort_unstable();
    for scope in changed_in_order {
        let lineage = tree.lineage(scope)?;
        // What is below another changed scope is checked with that one.
        if !lineage.iter().rev().skip(1).any(|above| changed.contains(&above.path)) {
            descent.begin(&lineage)?;
        }
    }
    Ok(descent.keys)
}

/// A way down the tree: options are merged once for all the scopes below that share them.
struct Descent<'a> {
    tree: &'a Tree,
    models: &'a Models,
    plans: &'a Plans,
    change: Option<Change<'a>>,
    /// What the scopes above have locked.
    locked: Vec<(&'a ScopePath, &'a Lock)>,
    /// The keys of the plans of the scopes passed.
    keys: Vec<(ScopePath, PlanKey)>,
}

/// What a scope leaves to those right below it.
struct Above {
    options: Merged,
    plan: PlanKey,
}

impl<'a> Descent<'a> {
    /// Goes down from the last scope of `lineage`.
    fn begin(&mut self, lineage: &[&'a Source]) -> Result<(), Problem> {
        let Some((root, above)) = lineage.split_last() else { return Ok(()) };
        self.locked.clear();
        above.iter().for_each(|source| self.lock(source));
        let plan = match above.last().and_then(|parent| self.tree.get(&parent.path)) {
            Some(parent) => parent.plan,
            None => self.plans.new_key(),
        };
        let options = merge(above.iter().copied());
        self.visit(root, &Above { options, plan }, above.len())
    }

    /// Checks a scope that is so many levels below the platform, then those below it.
    fn visit(&mut self, source: &'a Source, above: &Above, levels: usize) -> Result<(), Problem> {
        if levels > MAX_DEPTH {
            return Err(too_deep(&source.path, source.parent.as_ref().unwrap_or(&source.path)));
        }
        if source.options.is_silent() {
            check_locks(source, &self.locked, &above.options)?;
            return self.go_on(source, above, levels);
        }
        let mut options = above.options.clone();
        options.apply(&source.path, &source.options);
        check_locks(source, &self.locked, &options)?;
        if let Some(change) = &self.change {
            change.check_size(source, &options)?;
        }
        check_rules(source, &options, self.models)?;
        let here = Above { options, plan: self.plans.new_key() };
        self.go_on(source, &here, levels)
    }

    fn go_on(&mut self, source: &'a Source, here: &Above, levels: usize) -> Result<(), Problem> {
        self.keys.push((source.path.clone(), here.plan));
        let locked_above = self.locked.len();
        self.lock(source);
        for child in self.tree.children(&source.path) {
            let child = self.tree.get(child).expect("a child is a scope of the tree");
            self.visit(&child.source, here, levels + 1)?;
        }
        self.locked.truncate(locked_above);
        Ok(())
    }

    fn lock(&mut self, source: &'a Source) {
        self.locked.extend(source.options.locked.iter().map(|lock| (&source.path, lock)));
    }
}

impl Change<'_> {
    /// Checks what the scope's rules take together with those of the scopes above. What was too much
    /// already hinders nobody, unless it grows.
    fn check_size(&self, source: &Source, options: &Merged) -> Result<(), Problem> {
        let is_written = self.written.contains(&source.path);
        let check = if is_written { Size::check_written } else { Size::check_inherited };
        let size = Size::of(options);
        if check(&size, &Size::default()).is_ok() {
            return Ok(());
        }
        let lineage = self.before.lineage(&source.path);
        let before = lineage.map_or_else(|_| Size::default(), |lineage| Size::of(&merge(lineage)));
        let fits = check(&size, &before);
        fits.map_err(|detail| Problem::invalid(format!("`{}`: rules: {detail}", source.path)))
    }
}

/// Refuses a new pattern that is too large to be written; the document of `before` had the others.
pub(super) fn check_patterns(source: &Source, before: Option<&Source>) -> Result<(), Problem> {
    let rules_before = before.map_or(&[][..], |before| &before.options.rules);
    for (name, rule) in &source.options.rules {
        let fits = rule.when.as_set().map_or(Ok(()), Condition::check_patterns);
        let was_there =
            || rules_before.iter().any(|(_, it)| it.when.as_set() == rule.when.as_set());
        if let Err(detail) = fits
            && !was_there()
        {
            return Err(Problem::invalid(format!("rules.{name}.when: {detail}")));
        }
    }
    Ok(())
}

/// The field at fault, and what is wrong with it.
type Fault = (&'static str, String);

/// Checks the rules that the scope says something about: the others are as they are above. Only
/// what they look at may have changed.
fn check_rules(source: &Source, options: &Merged, models: &Models) -> Result<(), Problem> {
    for (name, _) in &source.options.rules {
        check_rule(&options.rules[name], models).map_err(|(field, detail)| {
            Problem::invalid(format!("`{}`: rules.{name}.{field}: {detail}", source.path))
        })?;
    }
    check_order(options).map_err(|(name, detail)| {
        Problem::invalid(format!("`{}`: rules.{name}.when: {detail}", source.path))
    })
}

fn check_rule(rule: &MergedRule, models: &Models) -> Result<(), Fault> {
    check_thresholds(rule)?;
    let model = rule.model.as_ref().map(|name| find_model(&name.value, models)).transpose()?;
    if !rule.is_enabled() {
        return Ok(());
    }
    let model = model.ok_or_else(|| missing("model"))?;
    let label = &rule.label.as_ref().ok_or_else(|| missing("label"))?.value;
    match &model.document.labels {
        Some(labels) if !labels.contains(label) => Err((
            "label",
            format!("model `{}` has no label `{}`, only {labels}", model.name, label.as_str()),
        )),
        _ => Ok(()),
    }
}

fn find_model<'a>(name: &Name, models: &'a Models) -> Result<&'a Model, Fault> {
    let fault = |detail: &str| ("model", format!("model `{name}` is {detail}"));
    let model = models.get(name).ok_or_else(|| fault("not registered; PUT it first"))?;
    if model.document.stage == Stage::Shadow {
        return Err(fault("at stage `shadow`, whose answers do not count; name a live one"));
    }
    Ok(model)
}

fn missing(field: &'static str) -> Fault {
    (field, "missing; set it here or in a scope above, or disable the rule".to_owned())
}

fn check_thresholds(rule: &MergedRule) -> Result<(), Fault> {
    let (Some(review), Some(reject)) = (&rule.review_at, &rule.reject_at) else { return Ok(()) };
    let in_order = match rule.direction() {
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
#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::super::example::{MODEL, policy};
    use super::*;

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
    fn a_rule_and_its_models_labels_must_fit_whichever_changes() {
        let model = |labels: &str| {
            let text = format!(r#"{{"endpoint": {{"sagemaker": "m"}}, "labels": {labels}}}"#);
            [("models/m".parse().unwrap(), Some(text.into()))]
        };
        let scope = |label: &str| {
            let text = format!(r#"{{"rules": {{"r": {{"label": "{label}"}}}}}}"#);
            [("scopes/client/a".parse().unwrap(), Some(text.into()))]
        };
        let rule = r#"{"rules": {"r": {"model": "m", "label": "spam"}}}"#;
        let policy = policy(&[MODEL, ("scopes/platform", rule)]).unwrap();
        let policy = policy.apply(&scope("hate")).unwrap();
        let fault = policy.apply(&model(r#"["ham", "spam"]"#)).unwrap_err().detail;
        let expected = "rules.r.label: model `m` has no label `hate`, only `ham`, `spam`";
        assert_eq!(fault, format!("`client/a`: {expected}"));
        let policy = policy.apply(&model(r#"["hate", "spam"]"#)).unwrap();
        assert!(policy.apply(&scope("ham")).unwrap_err().detail.contains("no label `ham`"));
        assert!(policy.apply(&scope("spam")).is_ok());
    }
}
