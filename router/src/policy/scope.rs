//! A scope's document: the options that one scope sets, clears or locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json::{self, Millis, Setting, distinct_keys};
use super::lock::Lock;
use super::name::Name;
use super::scope_path::ScopePath;
use crate::problem::Problem;

/// The body of `PUT /v1/scopes/{path}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScopeDocument {
    /// The scope to inherit from, where it is not the usual one.
    pub(crate) parent: Option<ScopePath>,
    /// What no scope below may override.
    pub(crate) locked: Vec<Lock>,
    /// What holds for the verdict as a whole.
    pub(crate) defaults: Defaults,
    /// Options of each rule.
    #[serde(deserialize_with = "distinct_keys")]
    pub(crate) rules: BTreeMap<Name, RuleOptions>,
}

/// What holds for the verdict as a whole.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// The verdict where no rule is stricter.
    pub(crate) decision: Setting<Outcome>,
    /// The longest that a verdict may take.
    pub(crate) deadline_ms: Setting<Millis>,
}

/// The options of one rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuleOptions {
    /// Whether the rule takes part.
    pub(crate) enabled: Setting<bool>,
    /// The model that it asks.
    pub(crate) model: Setting<Name>,
    /// The label whose score it looks at.
    pub(crate) label: Setting<Label>,
    /// Whether high or low scores are bad.
    pub(crate) direction: Setting<Direction>,
    /// The score from which people must look.
    pub(crate) review_at: Setting<Threshold>,
    /// The score from which content is refused.
    pub(crate) reject_at: Setting<Threshold>,
    /// The outcome where there is no score.
    pub(crate) on_failure: Setting<Outcome>,
}

/// The group of fields that is no rule.
pub(crate) const DEFAULTS: &str = "defaults";

/// Fields of the design that this version does not act upon.
const UNSUPPORTED: &[&str] =
    &["defaults.sample", "rules.*.sample", "rules.*.required", "rules.*.when"];

impl ScopeDocument {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        json::refuse_unsupported(text, UNSUPPORTED)?;
        let document: Self = json::read(text)?;
        match document.rules.keys().find(|name| name.as_str() == DEFAULTS) {
            Some(_) => Err(Problem::invalid("rules.defaults: a rule cannot have this name")),
            None => Ok(document),
        }
    }

    /// The fields that the document sets or clears, each with its group.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let defaults = self.defaults.fields().into_iter().map(|field| (DEFAULTS, field));
        let rules = self.rules.iter().flat_map(|(name, rule)| {
            rule.fields().into_iter().map(move |field| (name.as_str(), field))
        });
        defaults.chain(rules)
    }
}

impl Defaults {
    /// Names of the fields that are set or cleared.
    fn fields(&self) -> Vec<&'static str> {
        said([("decision", self.decision.is_said()), ("deadline_ms", self.deadline_ms.is_said())])
    }
}

impl RuleOptions {
    /// Names of the fields that are set or cleared.
    fn fields(&self) -> Vec<&'static str> {
        said([
            ("enabled", self.enabled.is_said()),
            ("model", self.model.is_said()),
            ("label", self.label.is_said()),
            ("direction", self.direction.is_said()),
            ("review_at", self.review_at.is_said()),
            ("reject_at", self.reject_at.is_said()),
            ("on_failure", self.on_failure.is_said()),
        ])
    }
}

fn said<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter_map(|(name, said)| said.then_some(name)).collect()
}

/// A verdict, and what a rule contributes to it; later ones are stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Publish.
    #[default]
    Approve,
    /// Let people look.
    Review,
    /// Refuse.
    Reject,
}

impl Outcome {
    /// As on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Reject => "reject",
        }
    }
}

/// Which scores of a rule are bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// Those at the threshold and above.
    #[default]
    Above,
    /// Those at the threshold and below.
    Below,
}

/// A score that changes the outcome, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "f64")]
pub(crate) struct Threshold(pub(crate) f64);

impl TryFrom<f64> for Threshold {
    type Error = &'static str;

    fn try_from(score: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&score) { Ok(Self(score)) } else { Err("must be from 0 to 1") }
    }
}

/// One of the labels that a model scores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct Label(Arc<str>);

impl Label {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.len() {
            1..=200 => Ok(Self(text.into())),
            _ => Err("must be from 1 to 200 bytes long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        ScopeDocument::parse(text).unwrap_err().detail
    }

    #[test]
    fn absent_null_and_set_differ() {
        let text = r#"{"rules": {"spam": {"review_at": null, "reject_at": 0.5}}}"#;
        let document = ScopeDocument::parse(text).unwrap();
        let rule = document.rules.values().next().unwrap();
        assert_eq!(rule.enabled, Setting::Inherit);
        assert_eq!(rule.review_at, Setting::Clear);
        assert_eq!(rule.reject_at, Setting::Set(Threshold(0.5)));
    }

    #[test]
    fn faults_name_their_field() {
        let cases = [
            (r#"{"rules": {"spam": {"review_at": 1.5}}}"#, "rules.spam.review_at: must be from 0"),
            (r#"{"rules": {"spam": {"label": ""}}}"#, "rules.spam.label: must be from 1"),
            (
                r#"{"rules": {"spam": {"direction": "up"}}}"#,
                "rules.spam.direction: unknown variant",
            ),
            (r#"{"defaults": {"deadline_ms": 300001}}"#, "defaults.deadline_ms: must be from 1"),
            (r#"{"parent": "beer"}"#, "parent: `beer` is not a scope"),
            (r#"{"rules": {"spam": {"when": "true"}}}"#, "rules.spam.when: not supported yet"),
            (r#"{"defaults": {"sample": 0.1}}"#, "defaults.sample: not supported yet"),
            (r#"{"rules": {"defaults": {}}}"#, "rules.defaults: "),
            (r#"{"rules": {"a": {}, "a": {}}}"#, "rules"),
        ];
        for (text, start) in cases {
            assert!(fault(text).starts_with(start), "{text}: {}", fault(text));
        }
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        let problem = ScopeDocument::parse("{").unwrap_err();
        assert_eq!(problem.kind, crate::problem::Kind::Malformed);
    }
}
