//! Locks: fields that a scope keeps to itself, against all scopes below it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::Deserialize;

use super::merge::Merged;
use super::name::Name;
use super::scope::{DEFAULTS, field_names};
use super::scope_path::ScopePath;
use super::tree::Source;
use crate::problem::Problem;

/// A locked field (`hate.reject_at`), rule (`hate`) or default (`defaults.deadline_ms`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Lock {
    /// The rule, or `defaults`.
    group: Name,
    /// The field; none locks them all.
    field: Option<String>,
}

impl Lock {
    fn key(&self) -> (&str, Option<&str>) {
        (self.group.as_str(), self.field.as_deref())
    }

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

/// The fields that make a rule's score what it is, or keep it from having one.
const OF_SCORE: [&str; 4] = ["enabled", "model", "label", "when"];

/// Refuses what a scope says about fields that scopes above it have `locked`, or about the scores
/// that a locked `when` looks at, and its own locks on rules that are not among its `merged` ones.
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
    let locks = locked.iter().rev().map(|(ancestor, lock)| (lock.key(), (*ancestor, *lock)));
    let locks: HashMap<_, _> = locks.collect();
    for (group, field) in source.options.fields() {
        let covering = [None, Some(field)].map(|field| locks.get(&(group, field)));
        if let Some((ancestor, lock)) = covering.into_iter().flatten().next() {
            return Err(Problem::invalid(format!(
                "`{scope}` overrides {group}.{field}, but `{ancestor}` has locked `{lock}`"
            )));
        }
    }
    // This comes second: it relies on each locked `when` being that of the scopes above.
    check_seen(source, locked, merged)
}

fn check_seen(
    source: &Source,
    locked: &[(&ScopePath, &Lock)],
    merged: &Merged,
) -> Result<(), Problem> {
    if source.options.rules.is_empty() {
        return Ok(());
    }
    let looking = || locked.iter().filter(|(_, lock)| lock.covers(lock.group.as_str(), "when"));
    let seen = seen_by(looking().map(|(_, lock)| &lock.group), merged);
    let is_seen = |(group, field): &(&str, &str)| seen.contains(group) && OF_SCORE.contains(field);
    let Some((group, field)) = source.options.fields().find(is_seen) else { return Ok(()) };
    let sees = |(_, lock): &&(&ScopePath, &Lock)| seen_by([&lock.group], merged).contains(group);
    let (ancestor, lock) = looking().find(sees).expect("one of them sees it");
    Err(Problem::invalid(format!(
        "`{}` overrides {group}.{field}, but `{ancestor}` has locked `{lock}`, which looks at \
         scores.{group}",
        source.path
    )))
}

/// The rules that the `when` of some look at, directly or through others.
fn seen_by<'a>(rules: impl IntoIterator<Item = &'a Name>, merged: &'a Merged) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<_> = rules.into_iter().collect();
    while let Some(rule) = open.pop() {
        let when = merged.rules.get(rule).and_then(|rule| rule.when.as_ref());
        let rules = when.into_iter().flat_map(|when| when.value.rules());
        open.extend(rules.filter(|rule| seen.insert(rule.as_str())));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::super::scope::ScopeDocument;
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
    fn a_locked_when_sees_the_scores_that_it_was_written_for() {
        let platform = |lock: &str| {
            format!(
                r#"{{"locked": ["{lock}"], "rules": {{
                    "hate": {{"model": "m", "label": "x", "when": "scores.tox > 0.5"}},
                    "tox": {{"model": "m", "label": "x", "when": "scores.lang > 0.5"}},
                    "lang": {{"model": "m", "label": "x"}}, "spam": {{"model": "m", "label": "x"}}}}}}"#
            )
        };
        for (lock, below, refused) in [
            ("hate", r#""tox": {"label": "y"}"#, Some("overrides tox.label")),
            ("hate.when", r#""tox": {"model": "m"}"#, Some("overrides tox.model")),
            ("hate", r#""tox": {"when": null}"#, Some("overrides tox.when")),
            ("hate", r#""lang": {"when": "false"}"#, Some("overrides lang.when")),
            ("hate", r#""lang": {"enabled": true}"#, Some("overrides lang.enabled")),
            ("hate", r#""tox": {"review_at": 0.2}"#, None),
            ("hate", r#""spam": {"label": "y"}"#, None),
            ("hate.label", r#""tox": {"label": "y"}"#, None),
            ("tox", r#""hate": {"when": null}"#, None),
        ] {
            let (platform, below) = (platform(lock), format!(r#"{{"rules": {{{below}}}}}"#));
            let documents =
                [example::MODEL, ("scopes/platform", &platform), ("scopes/client/a", &below)];
            let fault = example::policy(&documents).err().map(|problem| problem.detail);
            let has_fault = |start: &str| fault.as_ref().is_some_and(|fault| fault.contains(start));
            assert!(refused.map_or(fault.is_none(), has_fault), "{lock} {below}: {fault:?}");
        }
    }

    #[test]
    fn a_lock_that_is_said_often_is_one_lock() {
        let locked = vec![r#""spam", "spam.reject_at""#; 1_000].join(", ");
        let text =
            format!(r#"{{"locked": [{locked}], "rules": {{"spam": {{"enabled": false}}}}}}"#);
        let locked = ScopeDocument::parse(&text).unwrap().locked;
        assert_eq!(locked, [lock("spam").unwrap(), lock("spam.reject_at").unwrap()]);
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
