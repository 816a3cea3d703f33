//! Merges the documents from the platform down to a scope, field by field.

use std::collections::BTreeMap;

use serde::Serialize;

use super::json::{Millis, Setting};
use super::name::Name;
use super::scope::{Direction, Label, Outcome, RuleOptions, ScopeDocument, Threshold};
use super::scope_path::ScopePath;

/// The options that hold on a scope.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Merged {
    /// What holds for the verdict as a whole.
    pub(crate) defaults: MergedDefaults,
    /// The rules, by name.
    pub(crate) rules: BTreeMap<Name, MergedRule>,
}

/// What holds for the verdict as a whole, as far as any scope says.
#[derive(Debug, Default, Serialize)]
pub(crate) struct MergedDefaults {
    /// The verdict where no rule is stricter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Sourced<Outcome>>,
    /// The longest that a verdict may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline_ms: Option<Sourced<Millis>>,
}

/// One rule's options, as far as any scope says.
#[derive(Debug, Default, Serialize)]
pub(crate) struct MergedRule {
    /// Whether the rule takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) enabled: Option<Sourced<bool>>,
    /// The model that it asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<Sourced<Name>>,
    /// The label whose score it looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<Sourced<Label>>,
    /// Whether high or low scores are bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) direction: Option<Sourced<Direction>>,
    /// The score from which people must look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) review_at: Option<Sourced<Threshold>>,
    /// The score from which content is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reject_at: Option<Sourced<Threshold>>,
    /// The outcome where there is no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_failure: Option<Sourced<Outcome>>,
}

/// A value and the scope that set it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sourced<T> {
    /// The value.
    pub(crate) value: T,
    /// The scope whose document has it.
    pub(crate) set_by: ScopePath,
}

/// Merges a lineage, platform first.
pub(crate) fn merge(lineage: &[(&ScopePath, &ScopeDocument)]) -> Merged {
    let mut merged = Merged::default();
    for (scope, document) in lineage {
        let defaults = &mut merged.defaults;
        apply(&mut defaults.decision, &document.defaults.decision, scope);
        apply(&mut defaults.deadline_ms, &document.defaults.deadline_ms, scope);
        for (name, options) in &document.rules {
            merged.rules.entry(name.clone()).or_default().apply(options, scope);
        }
    }
    merged
}

impl MergedRule {
    fn apply(&mut self, options: &RuleOptions, scope: &ScopePath) {
        let RuleOptions { enabled, model, label, direction, review_at, reject_at, on_failure } =
            options;
        apply(&mut self.enabled, enabled, scope);
        apply(&mut self.model, model, scope);
        apply(&mut self.label, label, scope);
        apply(&mut self.direction, direction, scope);
        apply(&mut self.review_at, review_at, scope);
        apply(&mut self.reject_at, reject_at, scope);
        apply(&mut self.on_failure, on_failure, scope);
    }
}

fn apply<T: Clone>(field: &mut Option<Sourced<T>>, setting: &Setting<T>, scope: &ScopePath) {
    match setting {
        Setting::Inherit => {}
        Setting::Clear => *field = None,
        Setting::Set(value) => {
            *field = Some(Sourced { value: value.clone(), set_by: scope.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_remembers_the_last_scope_that_set_it() {
        let platform = document(r#"{"rules": {"spam": {"review_at": 0.7, "reject_at": 0.9}}}"#);
        let client = document(r#"{"rules": {"spam": {"review_at": 0.5}}}"#);
        let path = "client/a".parse().unwrap();
        let merged = merge(&[(&ScopePath::Platform, &platform), (&path, &client)]);
        let rule = &merged.rules[&"spam".parse::<Name>().unwrap()];
        assert_eq!(rule.review_at, Some(Sourced { value: Threshold(0.5), set_by: path }));
        assert_eq!(rule.reject_at.as_ref().unwrap().set_by, ScopePath::Platform);
    }

    #[test]
    fn null_clears_what_a_scope_above_set() {
        let platform = document(r#"{"defaults": {"decision": "reject", "deadline_ms": 5}}"#);
        let client = document(r#"{"defaults": {"decision": null}}"#);
        let path = "client/a".parse().unwrap();
        let merged = merge(&[(&ScopePath::Platform, &platform), (&path, &client)]);
        assert_eq!(merged.defaults.decision, None);
        assert!(merged.defaults.deadline_ms.is_some());
    }

    fn document(text: &str) -> ScopeDocument {
        ScopeDocument::parse(text).unwrap()
    }
}
