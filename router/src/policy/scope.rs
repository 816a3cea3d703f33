//! A scope's document: the options that one scope sets, clears or locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::condition::Condition;
use super::json::{self, Millis, Object, Setting, distinct_entries};
use super::lock::Lock;
use super::name::Name;
use super::scope_path::ScopePath;
use super::size::Size;
use crate::problem::Problem;

/// The body of `PUT /v1/scopes/{path}`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeDocument {
    /// The scope to inherit from, where it is not the usual one.
    #[serde(default)]
    pub(crate) parent: Option<ScopePath>,
    /// What no scope below may override.
    #[serde(default, deserialize_with = "locks")]
    #[schema(value_type = Vec<Lock>)]
    pub(crate) locked: Vec<Lock>,
    /// What holds for the verdict as a whole.
    #[serde(default, deserialize_with = "json::object")]
    pub(crate) defaults: Defaults,
    /// Options of each rule, by name.
    #[serde(default, deserialize_with = "rules")]
    #[schema(value_type = BTreeMap<Name, RuleOptions>)]
    pub(crate) rules: Vec<(Name, RuleOptions)>,
}

/// What holds for the verdict as a whole.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    /// The verdict where no rule is stricter.
    #[serde(default)]
    #[schema(value_type = Option<Outcome>)]
    pub(crate) decision: Setting<Outcome>,
    /// The longest that a verdict may take.
    #[serde(default)]
    #[schema(value_type = Option<Millis>)]
    pub(crate) deadline_ms: Setting<Millis>,
    /// The share of all contents that people look at.
    #[serde(default)]
    #[schema(value_type = Option<Share>)]
    pub(crate) sample: Setting<Share>,
}

/// The options of one rule.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleOptions {
    /// Whether the rule takes part.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub(crate) enabled: Setting<bool>,
    /// The model that it asks.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    pub(crate) model: Setting<Name>,
    /// The label whose score it looks at.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    pub(crate) label: Setting<Label>,
    /// Whether high or low scores are bad.
    #[serde(default)]
    #[schema(value_type = Option<Direction>)]
    pub(crate) direction: Setting<Direction>,
    /// The score from which people must look.
    #[serde(default)]
    #[schema(value_type = Option<Threshold>)]
    pub(crate) review_at: Setting<Threshold>,
    /// The score from which content is refused.
    #[serde(default)]
    #[schema(value_type = Option<Threshold>)]
    pub(crate) reject_at: Setting<Threshold>,
    /// The outcome where there is no score.
    #[serde(default)]
    #[schema(value_type = Option<Outcome>)]
    pub(crate) on_failure: Setting<Outcome>,
    /// The share of the contents that it judges that people look at.
    #[serde(default)]
    #[schema(value_type = Option<Share>)]
    pub(crate) sample: Setting<Share>,
    /// Whether its model is asked even where the verdict is certain without.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub(crate) required: Setting<bool>,
    /// The contents that it takes part for.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    pub(crate) when: Setting<Condition>,
}

/// The group of fields that is no rule.
pub(crate) const DEFAULTS: &str = "defaults";

impl ScopeDocument {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let document: Self = json::read(text, "body")?;
        match document.rules.iter().find(|(name, _)| name.as_str() == DEFAULTS) {
            Some(_) => Err(Problem::invalid("rules.defaults: a rule cannot have this name")),
            None => Ok(document),
        }
    }

    /// The `parent` that a document names; nothing else of it is looked at.
    pub(crate) fn parent(text: &str) -> Result<Option<ScopePath>, Problem> {
        #[derive(Deserialize)]
        struct Kin {
            #[serde(default)]
            parent: Option<ScopePath>,
        }
        json::read(text, "body").map(|Kin { parent }| parent)
    }

    /// Whether the scope has its parent's options and no others.
    pub(crate) fn is_silent(&self) -> bool {
        self.rules.is_empty() && said(self.defaults.fields()).next().is_none()
    }

    /// The fields that the document sets or clears, each with its group.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let defaults = said(self.defaults.fields()).map(|field| (DEFAULTS, field));
        let rules = self
            .rules
            .iter()
            .flat_map(|(name, rule)| said(rule.fields()).map(move |field| (name.as_str(), field)));
        defaults.chain(rules)
    }
}

/// Each lock once: what is locked twice is locked.
fn locks<'de, D: Deserializer<'de>>(locks: D) -> Result<Vec<Lock>, D::Error> {
    let mut locks: Vec<Lock> = Vec::deserialize(locks)?;
    locks.sort();
    locks.dedup();
    Ok(locks)
}

fn rules<'de, D: Deserializer<'de>>(rules: D) -> Result<Vec<(Name, RuleOptions)>, D::Error> {
    // What is too much is refused before the rest of it has been read.
    let mut size = Size::default();
    let fits = |Object(options): &Object<RuleOptions>| {
        size.add(options.when.as_set());
        size.check_stored()
    };
    let rules: BTreeMap<Name, Object<RuleOptions>> = distinct_entries(rules, fits)?;
    Ok(rules.into_iter().map(|(name, Object(options))| (name, options)).collect())
}

impl Defaults {
    /// The name of each field, and whether the document says something about it.
    fn fields(&self) -> Fields<3> {
        let Self { decision, deadline_ms, sample } = self;
        [
            ("decision", decision.is_said()),
            ("deadline_ms", deadline_ms.is_said()),
            ("sample", sample.is_said()),
        ]
    }
}

impl RuleOptions {
    /// The name of each field, and whether the document says something about it.
    fn fields(&self) -> Fields<10> {
        let Self { enabled, model, label, direction, review_at, reject_at, .. } = self;
        let Self { on_failure, sample, required, when, .. } = self;
        [
            ("enabled", enabled.is_said()),
            ("model", model.is_said()),
            ("label", label.is_said()),
            ("direction", direction.is_said()),
            ("review_at", review_at.is_said()),
            ("reject_at", reject_at.is_said()),
            ("on_failure", on_failure.is_said()),
            ("sample", sample.is_said()),
            ("required", required.is_said()),
            ("when", when.is_said()),
        ]
    }
}

type Fields<const N: usize> = [(&'static str, bool); N];

fn said<const N: usize>(fields: Fields<N>) -> impl Iterator<Item = &'static str> {
    fields.into_iter().filter_map(|(name, said)| said.then_some(name))
}

/// The names of the fields that a group has: those of `defaults`, or of any rule.
pub(crate) fn field_names(group: &str) -> Vec<&'static str> {
    match group {
        DEFAULTS => Defaults::default().fields().map(|(name, _)| name).to_vec(),
        _ => RuleOptions::default().fields().map(|(name, _)| name).to_vec(),
    }
}

/// A verdict, and what a rule contributes to it; later ones are stricter.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema,
)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// Those at the threshold and above.
    #[default]
    Above,
    /// Those at the threshold and below.
    Below,
}

/// A score that changes the outcome, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "f64")]
#[schema(value_type = f64, minimum = 0, maximum = 1)]
pub(crate) struct Threshold(pub(crate) f64);

impl TryFrom<f64> for Threshold {
    type Error = &'static str;

    fn try_from(score: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&score) { Ok(Self(score)) } else { Err("must be from 0 to 1") }
    }
}

/// A share of contents, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "f64")]
#[schema(value_type = f64, minimum = 0, maximum = 1)]
pub(crate) struct Share(pub(crate) f64);

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(share: f64) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err("must be from 0 to 1") }
    }
}

/// One of the labels that a model scores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub(crate) struct Label(Arc<str>);

impl Label {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Label {
    /// Whether a text can be one.
    pub(crate) fn check(text: &str) -> Result<(), &'static str> {
        match text.len() {
            1..=200 => Ok(()),
            _ => Err("must be from 1 to 200 bytes long"),
        }
    }
}

impl TryFrom<String> for Label {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::check(&text).map(|()| Self(text.into()))
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
        let rule = &document.rules[0].1;
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
            (r#"{"rules": {"spam": {"when": "content.colour == 1"}}}"#, "rules.spam.when: column "),
            (r#"{"rules": {"spam": {"required": 1}}}"#, "rules.spam.required: invalid type"),
            (r#"{"rules": {"spam": {"sample": 2}}}"#, "rules.spam.sample: must be from 0 to 1"),
            (r#"{"defaults": {"sample": -0.1}}"#, "defaults.sample: must be from 0 to 1"),
            (r#"{"rules": {"defaults": {}}}"#, "rules.defaults: "),
            (r#"{"rules": {"a": {}, "a": {}}}"#, "rules"),
            (r#"{"rules": {"a": [true]}}"#, "rules.a: invalid type: sequence"),
            (r#"{"rules": []}"#, "rules: invalid type: sequence"),
            (r#"{"defaults": ["reject"]}"#, "defaults: invalid type: sequence"),
            (r#"[null, [], {}]"#, "invalid type: sequence, expected an object"),
        ];
        for (text, start) in cases {
            assert!(fault(text).starts_with(start), "{text}: {}", fault(text));
        }
    }

    #[test]
    fn a_fault_in_an_expression_has_its_place_there_and_no_other() {
        let with = |when: &str| fault(&format!(r#"{{"rules": {{"a": {{"when": "{when}"}}}}}}"#));
        assert_eq!(
            with("1 ? true : false"),
            "rules.a.when: column 1: `?` needs true or false, but this is a whole number"
        );
        assert_eq!(
            with(r"true &&\n 1 = 1"),
            "rules.a.when: line 2, column 4: write `==` to compare"
        );
    }

    #[test]
    fn each_field_is_known_by_its_name() {
        for name in field_names("spam") {
            let text = format!(r#"{{"rules": {{"spam": {{"{name}": null}}}}}}"#);
            let document = ScopeDocument::parse(&text).unwrap();
            assert_eq!(document.fields().collect::<Vec<_>>(), [("spam", name)]);
        }
        for name in field_names(DEFAULTS) {
            let text = format!(r#"{{"defaults": {{"{name}": null}}}}"#);
            let document = ScopeDocument::parse(&text).unwrap();
            assert_eq!(document.fields().collect::<Vec<_>>(), [(DEFAULTS, name)]);
        }
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        let problem = ScopeDocument::parse("{").unwrap_err();
        assert_eq!(problem.kind, crate::problem::Kind::Malformed);
    }
}
