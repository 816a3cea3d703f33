//! Shows what a change does to a document, field by field.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::openapi::AnyDocument;
use crate::policy::subject::Subject;
use crate::problem::{Kind, Problem};
use crate::store::DocumentChange;

/// A change of one document, as callers get it; the documents are verbatim.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentChange)]
pub(super) struct Shown<'a> {
    /// The document.
    #[schema(value_type = Subject)]
    subject: String,
    /// What it was; null where it did not exist.
    #[schema(value_type = Option<AnyDocument>)]
    before: Option<&'a RawValue>,
    /// What it became; null where it is gone.
    #[schema(value_type = Option<AnyDocument>)]
    after: Option<&'a RawValue>,
    /// The fields that differ.
    fields: Vec<Field>,
}

/// A field that differs; a side without it is left out.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = FieldChange)]
struct Field {
    /// Where it is, such as `rules.spam.review_at`.
    path: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// What it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// The changes as callers get them, by subject.
pub(super) fn show(changes: &[DocumentChange]) -> Result<Vec<Shown<'_>>, Problem> {
    let mut shown = changes.iter().map(show_one).collect::<Result<Vec<_>, _>>()?;
    shown.sort_by(|one, other| one.subject.cmp(&other.subject));
    Ok(shown)
}

fn show_one(change: &DocumentChange) -> Result<Shown<'_>, Problem> {
    let subject = change.subject.to_string();
    let before = change.before.as_deref().map(|text| raw(&subject, text)).transpose()?;
    let after = change.after.as_deref().map(|text| raw(&subject, text)).transpose()?;
    let value = |raw: &RawValue| serde_json::from_str(raw.get()).ok();
    let mut fields = Vec::new();
    compare(String::new(), before.and_then(value), after.and_then(value), &mut fields);
    Ok(Shown { subject, before, after, fields })
}

/// A stored document's text as the JSON that it is.
pub(super) fn raw<'a>(subject: &str, text: &'a str) -> Result<&'a RawValue, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let detail = format!("the stored document `{subject}` is not JSON: {error}");
        Problem::new(Kind::OptionsUnreadable, detail)
    })
}

/// Adds the fields that differ, going into objects; lists are compared as a whole.
fn compare(path: String, before: Option<Value>, after: Option<Value>, fields: &mut Vec<Field>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            compare_objects(&path, before, after, fields);
        }
        (Some(Value::Object(before)), None) if !before.is_empty() => {
            compare_objects(&path, before, Map::new(), fields);
        }
        (None, Some(Value::Object(after))) if !after.is_empty() => {
            compare_objects(&path, Map::new(), after, fields);
        }
        // A document that is new or gone is no field of its own.
        _ if path.is_empty() => {}
        (before, after) => fields.push(Field { path, before, after }),
    }
}

fn compare_objects(
    path: &str,
    mut before: Map<String, Value>,
    mut after: Map<String, Value>,
    fields: &mut Vec<Field>,
) {
    let added = after.keys().filter(|key| !before.contains_key(*key));
    let keys: Vec<String> = before.keys().chain(added).cloned().collect();
    for key in keys {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        compare(below, before.remove(&key), after.remove(&key), fields);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(before: Option<Value>, after: Option<Value>) -> Value {
        let text = |value: Option<Value>| value.map(|value| value.to_string().into());
        let subject = "scopes/platform".parse().unwrap();
        let change = DocumentChange { subject, before: text(before), after: text(after) };
        serde_json::to_value(show(&[change]).unwrap()).unwrap()[0]["fields"].take()
    }

    #[test]
    fn fields_that_differ_are_named_by_their_path() {
        let before = json!({"locked": ["a"], "rules": {"spam": {"review_at": 0.7, "model": "m"}}});
        let after = json!({"locked": ["b"], "rules": {"spam": {"review_at": 0.6, "model": "m"},
                           "hate": {"reject_at": null}}});
        let expected = json!([
            {"path": "locked", "before": ["a"], "after": ["b"]},
            {"path": "rules.spam.review_at", "before": 0.7, "after": 0.6},
            {"path": "rules.hate.reject_at", "after": null},
        ]);
        assert_eq!(fields(Some(before), Some(after)), expected);
    }

    #[test]
    fn a_new_or_deleted_document_is_shown_by_its_fields() {
        let document = json!({"rules": {"spam": {"review_at": 0.7}, "hate": {}}});
        let with = |side: &str| {
            json!([
                {"path": "rules.hate", side: {}},
                {"path": "rules.spam.review_at", side: 0.7},
            ])
        };
        assert_eq!(fields(None, Some(document.clone())), with("after"));
        assert_eq!(fields(Some(document), None), with("before"));
        assert_eq!(fields(None, Some(json!({}))), json!([]));
    }

    #[test]
    fn another_layout_is_no_difference() {
        let change = DocumentChange {
            subject: "scopes/platform".parse().unwrap(),
            before: Some(r#"{"a": 0.70, "b": 1}"#.into()),
            after: Some("{\n \"b\":1,\"a\":0.7}\n".into()),
        };
        let shown = show(std::slice::from_ref(&change)).unwrap();
        assert_eq!(shown[0].fields, []);
        assert_eq!(shown[0].after.unwrap().get(), "{\n \"b\":1,\"a\":0.7}");
    }
}
