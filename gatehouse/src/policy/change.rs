//! What is to be changed in the router's options, and how that is shown.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::folder::Documents;
use super::output::{Paint, json, plain};

/// What one version does to one document.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    subject: String,
    before: Option<Value>,
    after: Option<Value>,
    #[serde(default)]
    fields: Vec<Field>,
}

/// What it does to one of its fields; a side is absent where the field is.
#[derive(Debug, Deserialize)]
struct Field {
    path: String,
    #[serde(default, deserialize_with = "present")]
    before: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    after: Option<Value>,
}

/// A null that stands there clears what is inherited, which is more than nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The documents that differ from those in force, and null for each that is to be deleted.
pub(super) fn difference(
    wanted: &Documents,
    in_force: &Documents,
    prune: bool,
) -> Map<String, Value> {
    let changed =
        wanted.iter().filter(|(subject, document)| in_force.get(subject) != Some(document));
    let mut difference: Map<_, _> =
        changed.map(|(subject, document)| (subject.to_string(), document.clone())).collect();
    if prune {
        difference.extend(missing(wanted, in_force).map(|subject| (subject, Value::Null)));
    }
    difference
}

/// What is in force and has no file.
pub(super) fn missing(wanted: &Documents, in_force: &Documents) -> impl Iterator<Item = String> {
    in_force.keys().filter(|subject| !wanted.contains_key(subject)).map(ToString::to_string)
}

/// The changes as a person reads them, a line for each document and each of its fields.
pub(super) fn show(changes: &[Change], paint: Paint) -> String {
    changes.iter().flat_map(|change| change.lines(paint)).collect::<Vec<_>>().join("\n")
}

impl Change {
    fn lines(&self, paint: Paint) -> Vec<String> {
        let subject = plain(&self.subject);
        let head = match (&self.before, &self.after) {
            (None, _) => paint.green(&format!("+ {subject}")),
            (Some(_), None) => paint.red(&format!("- {subject}")),
            (Some(_), Some(_)) => paint.yellow(&format!("~ {subject}")),
        };
        std::iter::once(head).chain(self.fields.iter().map(|field| field.line(paint))).collect()
    }
}

impl Field {
    fn line(&self, paint: Paint) -> String {
        let path = plain(&self.path);
        match (&self.before, &self.after) {
            (None, Some(after)) => paint.green(&format!("    + {path}: {}", json(after))),
            (Some(before), None) => paint.red(&format!("    - {path}: {}", json(before))),
            (Some(before), Some(after)) => {
                let (before, after) = (paint.red(&json(before)), paint.green(&json(after)));
                format!("    ~ {path}: {before} -> {after}")
            }
            (None, None) => format!("    ~ {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::subject::Subject;

    #[test]
    fn changes_are_shown_field_by_field() {
        let changes = json!([
            {"subject": "scopes/platform", "before": {}, "after": {}, "fields": [
                {"path": "rules.spam.review_at", "before": 0.7, "after": 0.6},
                {"path": "rules.spam.reject_at", "before": 0.9, "after": null},
                {"path": "rules.spam.when", "after": "x == '\u{1b}'"},
                {"path": "locked", "before": ["a"]}]},
            {"subject": "scopes/client/new", "before": null, "after": {}},
            {"subject": "models/old", "before": {"cost": 1.0}, "after": null, "fields": []}]);
        let changes: Vec<Change> = serde_json::from_value(changes).unwrap();
        let expected = "\
~ scopes/platform
    ~ rules.spam.review_at: 0.7 -> 0.6
    ~ rules.spam.reject_at: 0.9 -> null
    + rules.spam.when: \"x == '\\u001b'\"
    - locked: [\"a\"]
+ scopes/client/new
- models/old";
        assert_eq!(show(&changes, Paint::off()), expected);
    }

    #[test]
    fn only_what_differs_is_sent_and_only_pruning_deletes() {
        let documents = |documents: &[(&str, Value)]| -> Documents {
            let subject = |text: &str| Subject::parse(text).unwrap();
            documents.iter().map(|(text, value)| (subject(text), value.clone())).collect()
        };
        let wanted = documents(&[
            ("models/same", json!({"b": 0.5, "a": null})),
            ("models/null", json!({"a": null})),
            ("models/new", json!({})),
        ]);
        let in_force = documents(&[
            ("models/same", json!({"a": null, "b": 0.50})),
            ("models/null", json!({})),
            ("models/gone", json!({})),
        ]);
        let changed = json!({"models/null": {"a": null}, "models/new": {}});
        assert_eq!(Value::Object(difference(&wanted, &in_force, false)), changed);
        let pruned = json!({"models/null": {"a": null}, "models/new": {}, "models/gone": null});
        assert_eq!(Value::Object(difference(&wanted, &in_force, true)), pruned);
        assert!(difference(&wanted, &wanted, true).is_empty());
    }
}
