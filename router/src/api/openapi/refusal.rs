//! Adds to each operation how it can be refused, and the headers that answers have.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::problem::Kind;

/// Adds the answers of an operation that are problems: those that it lists by name under
/// `x-problems`, and those that go with what it takes.
pub(super) fn describe(operation: &mut Value) {
    let is_open = operation["security"] == json!([{}]);
    if is_open {
        operation["security"] = json!([]);
    }
    let kinds = kinds(operation, is_open);
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.extend(by_status.iter().map(|(status, kinds)| (status.to_string(), answer(kinds))));
    if !is_open {
        responses.values_mut().for_each(limit);
    }
}

fn kinds(operation: &mut Value, is_open: bool) -> Vec<Kind> {
    let listed = operation.as_object_mut().and_then(|it| it.remove("x-problems"));
    let listed = listed.as_ref().and_then(Value::as_array).into_iter().flatten();
    let named = |name: &Value| {
        let kind = name.as_str().and_then(Kind::named);
        kind.expect("handlers name kinds of problems that there are")
    };
    let mut kinds: Vec<Kind> = listed.map(named).collect();
    kinds.push(Kind::ForeignHost);
    if !is_open {
        kinds.extend([Kind::Unauthorized, Kind::Forbidden, Kind::RateLimited]);
    }
    let parameters = operation["parameters"].as_array();
    if parameters.is_some_and(|parameters| !parameters.is_empty()) {
        kinds.extend([Kind::Malformed, Kind::Invalid]);
    }
    if operation["requestBody"].is_object() {
        kinds.extend([Kind::Malformed, Kind::Invalid, Kind::RequestTimeout]);
        kinds.extend([Kind::TooLarge, Kind::MediaType]);
    }
    kinds.sort_by_key(|kind| *kind as usize);
    kinds.dedup();
    kinds
}

/// The answer of one status, by which `type`s are told apart.
fn answer(kinds: &[Kind]) -> Value {
    let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
    let types: Vec<_> = kinds.iter().map(|kind| kind.reference()).collect();
    let schema = json!({ "allOf": [
        { "$ref": "#/components/schemas/Problem" },
        { "type": "object", "properties": { "type": { "enum": types } } },
    ] });
    let mut headers = Map::new();
    let mut header = |name: &str, schema: Value, description: &str| {
        headers.insert(name.to_owned(), json!({ "schema": schema, "description": description }));
    };
    if kinds.contains(&Kind::Unauthorized) {
        header("WWW-Authenticate", json!({ "const": "Bearer" }), "How to be let in.");
    }
    if kinds.iter().any(|kind| matches!(kind.status(), 429 | 503)) {
        let seconds = json!({ "type": "integer", "minimum": 1 });
        header(
            "Retry-After",
            seconds,
            "The seconds after which to try again, where that may help.",
        );
    }
    let mut answer = json!({
        "description": format!("{}.", titles.join(", or: ")),
        "content": { "application/problem+json": { "schema": schema } },
    });
    if !headers.is_empty() {
        answer["headers"] = headers.into();
    }
    answer
}

/// The headers of draft-ietf-httpapi-ratelimit-headers-11.
fn limit(answer: &mut Value) {
    let header = |pattern: &str, description: &str| json!({ "schema": { "type": "string", "pattern": pattern }, "description": description });
    answer["headers"]["RateLimit"] = header(
        "^\"key\";r=[0-9]+;t=[0-9]+$",
        "What is left of the key's limit, if it has one, and the seconds until all of it is there \
         again.",
    );
    answer["headers"]["RateLimit-Policy"] =
        header("^\"key\";q=[0-9]+;w=60$", "The key's limit a minute, if it has one.");
}
