//! Locks: fields that a scope keeps to itself, against all scopes below it.

use std::fmt;

use serde::Deserialize;

use super::name::Name;
use super::scope::{DEFAULTS, ScopeDocument};
use super::scope_path::ScopePath;
use crate::problem::Problem;

/// A locked field (`hate.reject_at`), rule (`hate`) or default (`defaults.deadline_ms`).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Lock {
    /// The rule, or `defaults`.
    group: Name,
    /// The field; none locks them all.
    field: Option<String>,
}

const DEFAULT_FIELDS: &[&str] = &["decision", "deadline_ms"];
const RULE_FIELDS: &[&str] =
    &["enabled", "model", "label", "direction", "review_at", "reject_at", "on_failure"];

impl Lock {
    fn covers(&self, group: &str, field: &str) -> bool {
        self.group.as_str() == group && self.field.as_ref().is_none_or(|locked| locked == field)
    }
}

impl TryFrom<String> for Lock {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (group, field) = match text.split_once('.') {
            Some((group, field)) => (group.parse::<Name>()?, Some(field)),
            None => (text.parse::<Name>()?, None),
        };
        let known = if group.as_str() == DEFAULTS { DEFAULT_FIELDS } else { RULE_FIELDS };
        let Some(field) = field else { return Ok(Self { group, field: None }) };
        if known.contains(&field) {
            return Ok(Self { group, field: Some(field.to_owned()) });
        }
        Err(format!("`{text}` names no field; `{group}` has {}", known.join(", ")))
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}.{field}", self.group),
            None => write!(f, "{}", self.group),
        }
    }
}

/// Refuses what the last scope of a lineage says about fields that a scope above it has locked.
pub(crate) fn respect_locks(lineage: &[(&ScopePath, &ScopeDocument)]) -> Result<(), Problem> {
    let Some(((scope, document), ancestors)) = lineage.split_last() else { return Ok(()) };
    for (ancestor, above) in ancestors {
        let broken = document.fields().find_map(|(group, field)| {
            above
                .locked
                .iter()
                .find(|lock| lock.covers(group, field))
                .map(|lock| (group, field, lock))
        });
        if let Some((group, field, lock)) = broken {
            return Err(Problem::invalid(format!(
                "`{scope}` overrides {group}.{field}, but `{ancestor}` has locked `{lock}`"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn lock(text: &str) -> Result<Lock, String> {
        Lock::try_from(text.to_owned())
    }

    #[test]
    fn a_lock_covers_its_field_or_the_whole_rule() {
        assert!(lock("hate.reject_at").unwrap().covers("hate", "reject_at"));
        assert!(!lock("hate.reject_at").unwrap().covers("hate", "review_at"));
        assert!(lock("hate").unwrap().covers("hate", "review_at"));
        assert!(!lock("hate").unwrap().covers("spam", "review_at"));
    }

    #[test]
    fn a_lock_on_no_field_is_refused() {
        assert!(lock("hate.threshold").unwrap_err().contains("review_at"));
        assert!(lock("defaults.model").unwrap_err().contains("deadline_ms"));
        assert!(lock("").is_err());
    }

    #[test]
    fn what_is_locked_above_cannot_be_overridden_nor_cleared_below() {
        let locking = |lock: &str| format!(r#"{{"locked": ["{lock}"], "rules": {{}}}}"#);
        let cases = [
            ("spam.reject_at", r#"{"rules": {"spam": {"reject_at": 0.5}}}"#, false),
            ("spam.reject_at", r#"{"rules": {"spam": {"reject_at": null}}}"#, false),
            ("spam.reject_at", r#"{"rules": {"spam": {"enabled": false}}}"#, true),
            ("spam", r#"{"rules": {"spam": {"enabled": false}}}"#, false),
            ("defaults.deadline_ms", r#"{"defaults": {"deadline_ms": 5}}"#, false),
            ("defaults.deadline_ms", r#"{"defaults": {"decision": "review"}}"#, true),
        ];
        for (lock, below, is_fine) in cases {
            let documents = [
                ("scopes/platform", locking(lock)),
                ("scopes/client/a", "{}".to_owned()),
                ("scopes/client/a/site/en", below.to_owned()),
            ];
            let documents: Vec<_> = documents.iter().map(|(s, t)| (*s, t.as_str())).collect();
            let result = example::policy(&documents);
            assert_eq!(result.is_ok(), is_fine, "{lock} {below}");
        }
    }
}
