//! Merges the documents from the platform down to a scope, field by field.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::condition::Condition;
use super::json::{Millis, Setting};
use super::name::Name;
use super::scope::{
    Defaults, Direction, Label, Outcome, RuleOptions, ScopeDocument, Share, Threshold,
};
use super::scope_path::ScopePath;
use super::tree::Source;

/// The options that hold on a scope.
///
/// A copy shares its rules, until one of them is overridden.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Merged {
    /// What holds for the verdict as a whole.
    pub(crate) defaults: MergedDefaults,
    /// The rules, by name.
    #[serde(serialize_with = "rules")]
    #[schema(value_type = BTreeMap<Name, MergedRule>)]
    pub(crate) rules: BTreeMap<Name, Arc<MergedRule>>,
}

fn rules<S: Serializer>(
    rules: &BTreeMap<Name, Arc<MergedRule>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rules.iter().map(|(name, rule)| (name, &**rule)))
}

/// What holds for the verdict as a whole, as far as any scope says.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct MergedDefaults {
    /// The verdict where no rule is stricter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Sourced<Outcome>>,
    /// The longest that a verdict may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deadline_ms: Option<Sourced<Millis>>,
    /// The share of all contents that people look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sample: Option<Sourced<Share>>,
}

/// One rule's options, as far as any scope says.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
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
    /// The share of the contents that it judges that people look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sample: Option<Sourced<Share>>,
    /// Whether its model is asked even where the verdict is certain without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) required: Option<Sourced<bool>>,
    /// The contents that it takes part for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<Sourced<Condition>>,
}

/// A value and the scope that set it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Sourced<T> {
    /// The value.
    pub(crate) value: T,
    /// The scope whose document has it.
    pub(crate) set_by: ScopePath,
}

/// Merges a lineage, platform first.
pub(super) fn merge<'a>(lineage: impl IntoIterator<Item = &'a Source>) -> Merged {
    let mut merged = Merged::default();
    for source in lineage {
        merged.apply(&source.path, &source.options);
    }
    merged
}

impl Merged {
    /// Goes one scope down, to one with this document.
    pub(super) fn apply(&mut self, scope: &ScopePath, document: &ScopeDocument) {
        let Defaults { decision, deadline_ms, sample } = &document.defaults;
        apply(&mut self.defaults.decision, decision, scope);
        apply(&mut self.defaults.deadline_ms, deadline_ms, scope);
        apply(&mut self.defaults.sample, sample, scope);
        for (name, options) in &document.rules {
            let rule = self.rules.entry(name.clone()).or_default();
            Arc::make_mut(rule).apply(options, scope);
        }
    }
}

impl MergedRule {
    fn apply(&mut self, options: &RuleOptions, scope: &ScopePath) {
        let RuleOptions { enabled, model, label, direction, review_at, reject_at, .. } = options;
        let RuleOptions { on_failure, sample, required, when, .. } = options;
        apply(&mut self.enabled, enabled, scope);
        apply(&mut self.model, model, scope);
        apply(&mut self.label, label, scope);
        apply(&mut self.direction, direction, scope);
        apply(&mut self.review_at, review_at, scope);
        apply(&mut self.reject_at, reject_at, scope);
        apply(&mut self.on_failure, on_failure, scope);
        apply(&mut self.sample, sample, scope);
        apply(&mut self.required, required, scope);
        apply(&mut self.when, when, scope);
    }

    /// Whether the rule takes part; one that no scope enables does.
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled.as_ref().is_none_or(|enabled| enabled.value)
    }

    /// Which scores are bad.
    pub(super) fn direction(&self) -> Direction {
        self.direction.as_ref().map(|direction| direction.value).unwrap_or_default()
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
    use super::super::Document;
    use super::*;

    #[test]
    fn each_field_remembers_the_last_scope_that_set_it() {
        let merged = merged(
            r#"{"rules": {"spam": {"review_at": 0.7, "reject_at": 0.9}}}"#,
            r#"{"rules": {"spam": {"review_at": 0.5}}}"#,
        );
        let rule = &merged.rules[&"spam".parse::<Name>().unwrap()];
        let set_by = "client/a".parse().unwrap();
        assert_eq!(rule.review_at, Some(Sourced { value: Threshold(0.5), set_by }));
        assert_eq!(rule.reject_at.as_ref().unwrap().set_by, ScopePath::Platform);
    }

    #[test]
    fn null_clears_what_a_scope_above_set() {
        let merged = merged(
            r#"{"defaults": {"decision": "reject", "deadline_ms": 5, "sample": 0.5},
                "rules": {"spam": {"when": "client == 'a'", "required": true, "sample": 0.1}}}"#,
            r#"{"defaults": {"decision": null},
                "rules": {"spam": {"when": null, "required": null, "sample": null}}}"#,
        );
        assert_eq!(merged.defaults.decision, None);
        assert!(merged.defaults.deadline_ms.is_some() && merged.defaults.sample.is_some());
        let rule = &merged.rules[&"spam".parse::<Name>().unwrap()];
        assert!(rule.when.is_none() && rule.required.is_none() && rule.sample.is_none());
    }

    #[test]
    fn a_rule_that_is_not_overridden_is_shared() {
        let platform = source("platform", r#"{"rules": {"a": {}, "b": {}}}"#);
        let client = source("client/a", r#"{"rules": {"b": {"required": true}}}"#);
        let (above, below) = (merge([&platform]), merge([&platform, &client]));
        let mut copy = above.clone();
        copy.apply(&client.path, &client.options);
        let shared = |name: &str| {
            let name = name.parse::<Name>().unwrap();
            Arc::ptr_eq(&above.rules[&name], &copy.rules[&name])
        };
        assert_eq!((shared("a"), shared("b")), (true, false));
        assert_eq!(below.rules.len(), copy.rules.len());
    }

    /// What a platform's and a client's documents come to.
    fn merged(platform: &str, client: &str) -> Merged {
        merge([&source("platform", platform), &source("client/a", client)])
    }

    fn source(path: &str, text: &str) -> Source {
        let document = Document { text: text.into(), version: 1 };
        Source::parse(path.parse().unwrap(), document).unwrap()
    }
}
