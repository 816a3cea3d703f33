//! Locks: fields that a scope keeps to itself, against all scopes below it.

use std::fmt;

use serde::Deserialize;

use super::merge::Merged;
use super::name::Name;
use super::scope::{DEFAULTS, field_names};
use super::scope_path::ScopePath;
use super::tree::Source;
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
        let known = field_names(group.as_str());
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

/// Refuses what a scope says about fields that scopes above it have `locked`, and its own locks
/// on rules that are not among its `merged` ones.
pub(super) fn check_locks(
    source: &Source,
    locked: &[(&ScopePath, &Lock)],
    merged: &Merged,
) -> Result<(), Problem> {
    let scope = &source.path;
    let exists =
        |lock: &&Lock| lock.group.as_str() == DEFAULTS || merged.rules.contains_key(&lock.group);
    if let Some(lock) = source.options.locked.iter().find(|lock| !exists(lock)) {
        return Err(Problem::invalid(format!(
            "locked: `{scope}` locks `{lock}`, but neither it nor a scope above has a rule `{}`",
            lock.group
        )));
    }
    for (ancestor, lock) in locked {
        let mut fields = source.options.fields();
        if let Some((group, field)) = fields.find(|(group, field)| lock.covers(group, field)) {
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
        let rules = r#"{"spam": {"enabled": false}}"#;
        let locking = |lock: &str| format!(r#"{{"locked": ["{lock}"], "rules": {rules}}}"#);
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

    #[test]
    fn each_field_can_be_locked() {
        for group in ["r", DEFAULTS] {
            for field in field_names(group) {
                let said = format!(r#""{group}": {{"{field}": null}}"#);
                let below = match group {
                    DEFAULTS => format!("{{{said}}}"),
                    _ => format!(r#"{{"rules": {{{said}}}}}"#),
                };
                let rules = r#"{"r": {"enabled": false}}"#;
                let above = format!(r#"{{"locked": ["{group}.{field}"], "rules": {rules}}}"#);
                let documents = [("scopes/platform", above.as_str()), ("scopes/client/a", &below)];
                let fault = example::policy(&documents).unwrap_err().detail;
                assert!(fault.contains(&format!("overrides {group}.{field}")), "{fault}");
            }
        }
    }

    #[test]
    fn a_lock_on_a_rule_of_no_scope_above_is_refused() {
        let rule = r#"{"rules": {"spam": {"enabled": false}}}"#;
        for (lock, is_fine) in
            [("spam.reject_at", true), ("spma.reject_at", false), ("spma", false)]
        {
            let client = format!(r#"{{"locked": ["{lock}"]}}"#);
            let documents = [("scopes/platform", rule), ("scopes/client/a", client.as_str())];
            let result = example::policy(&documents);
            assert_eq!(result.is_ok(), is_fine, "{lock}");
            let names = |problem: Problem| problem.detail.contains("`spma`");
            assert!(result.err().is_none_or(names));
        }
    }
}
