//! `GET /openapi.json`: the API as OpenAPI 3.1, made of what stands at the handlers and their types.

mod refusal;
mod schema;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{
    audit, decisions, documents, endpoints, history, keys, moderate, shadow, stream, versions,
    views, what_if,
};
use crate::outbound::OutboundUrl;
use crate::policy::model::SageMakerEndpoint;
use crate::policy::name::Name;
use crate::problem::Problem;

pub(crate) use schema::AnyDocument;

const ABOUT: &str = "\
Reads each client's options, asks the models that they name, answers with a verdict.

**Keys.** As long as no key was ever made, the router asks for none and serves its own machine \
alone. From the first one on, every route but `/livez`, `/readyz`, `/openapi.json` and `/docs` \
demands one: `Authorization: Bearer gh_live_…`. What a key may do is said by its scopes.

**Options** are documents on scopes: the platform, industries, clients and their sites. A child \
takes its parent's rules field by field, and may override each field that no ancestor locked; \
`null` clears an inherited field. Every change makes an immutable policy version.

**Errors** are `application/problem+json` (RFC 9457) with a stable `type`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Gatehouse router", description = ABOUT),
    paths(
        moderate::moderate,
        decisions::decision,
        views::models,
        documents::get_model,
        documents::put_model,
        documents::delete_model,
        shadow::shadow,
        views::scopes,
        documents::get_scope,
        documents::put_scope,
        documents::delete_scope,
        views::effective,
        history::list,
        versions::create,
        history::one,
        history::documents,
        history::diff,
        versions::revert,
        what_if::what_if,
        keys::list,
        keys::create,
        keys::limit,
        keys::revoke,
        audit::audit,
        endpoints::endpoints,
        views::live,
        views::ready,
        views::metrics,
        document,
    ),
    // What no handler names: lines, and what types that are described by hand refer to.
    components(schemas(
        stream::FailedLine<'_>, Problem, AnyDocument, SageMakerEndpoint, OutboundUrl, ETag
    )),
    tags(
        (name = "moderation", description = "Contents and the verdicts on them."),
        (name = "models", description = "The models that rules ask."),
        (name = "scopes", description = "The options of the platform, industries and clients."),
        (name = "policy", description = "Versions of all options."),
        (name = "keys", description = "Keys, and the log of who changed what."),
        (name = "operation", description = "How the router stands."),
    )
)]
struct Document;

/// The document, written once.
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&written()).expect("a JSON value is always JSON").into());

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operation",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Value))
)]
pub(super) async fn document() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

/// The document with what utoipa cannot say.
pub(super) fn written() -> Value {
    let document = Document::openapi();
    let mut document = serde_json::to_value(document).expect("the document is made of JSON");
    document["components"]["securitySchemes"] = json!({ "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "gh_live_…",
        "description": "A key, as `gatehouse key create` or `POST /v1/keys` gives it. None is \
                        asked for until the first one was made.",
    } });
    document["security"] = json!([{ "key": [] }]);
    let paths = document["paths"].as_object_mut().expect("a document has paths");
    split_scopes(paths);
    for operation in operations(paths) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        parameters.into_iter().flatten().for_each(never_null);
        refusal::describe(operation);
    }
    tell_documents_apart(&mut document["components"]["schemas"]);
    document
}

/// The operations of all paths.
fn operations(paths: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let items = paths.values_mut().filter_map(Value::as_object_mut);
    items.flat_map(Map::values_mut)
}

/// One form of a scope's path, the word for it, and what its parameters name.
struct ScopeForm {
    path: &'static str,
    kind: &'static str,
    names: &'static [(&'static str, &'static str)],
}

const FORMS: [ScopeForm; 4] = [
    ScopeForm { path: "platform", kind: "platform", names: &[] },
    ScopeForm { path: "industry/{name}", kind: "industry", names: &[("name", "The industry.")] },
    ScopeForm { path: "client/{name}", kind: "client", names: &[("name", "The client.")] },
    ScopeForm {
        path: "client/{name}/site/{site}",
        kind: "site",
        names: &[("name", "The client."), ("site", "The client's site.")],
    },
];

/// A parameter of OpenAPI has no slashes, so each form of a scope's path is a path of its own.
fn split_scopes(paths: &mut Map<String, Value>) {
    let item = paths.remove("/v1/scopes/{path}").expect("the handlers of scopes are documented");
    for ScopeForm { path, kind, names } in FORMS {
        let mut item = item.clone();
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let id = operation["operationId"].as_str().unwrap_or_default().replace("scope", kind);
            operation["operationId"] = id.into();
            let parameters = operation["parameters"].as_array_mut();
            let parameters = parameters.expect("a scope has its path");
            parameters.retain(|parameter| parameter["in"] != "path");
            parameters.extend(names.iter().map(|(name, description)| {
                json!({
                    "name": name,
                    "in": "path",
                    "description": description,
                    "required": true,
                    "schema": { "$ref": format!("#/components/schemas/{}", Name::name()) },
                })
            }));
        }
        paths.insert(format!("/v1/scopes/{path}"), item);
    }
}

/// A parameter may be absent, but it has no way to be null.
fn never_null(parameter: &mut Value) {
    if let Some(types) = parameter["schema"]["type"].as_array() {
        let given = types.iter().find(|given| *given != "null").cloned();
        parameter["schema"]["type"] = given.unwrap_or_default();
    }
}

/// A subject says which kind of document stands under it.
fn tell_documents_apart(schemas: &mut Value) {
    for (holder, is_nullable) in [("NewVersion", true), ("WhatIf", true), ("Documents", false)] {
        let document = |name: &str| {
            let document = json!({ "$ref": format!("#/components/schemas/{name}") });
            if is_nullable { json!({ "anyOf": [document, { "type": "null" }] }) } else { document }
        };
        let documents = &mut schemas[holder]["properties"]["documents"];
        *documents = json!({
            "type": "object",
            "description": documents["description"],
            "patternProperties": {
                schema::MODEL: document("ModelDocument"),
                schema::SCOPE_SUBJECT: document("ScopeDocument"),
            },
            "additionalProperties": false,
        });
    }
}

/// What a change of one document can state in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what handlers read from the headers")]
pub(super) struct ChangeHeaders {
    /// The ETag of the document to change, several of them with commas between, or `*`.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// `*`: only if there is no such document.
    #[param(rename = "If-None-Match", pattern = "^\\*$")]
    if_none_match: Option<String>,
    /// Why, in the author's words.
    #[param(rename = "Gatehouse-Reason", max_length = 1000)]
    gatehouse_reason: Option<String>,
}

/// What a change of many documents can state in its headers.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what handlers read from the headers")]
pub(super) struct VersionHeaders {
    /// The policy version to change, such as `"17"`, several with commas between, or `*`.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// Why, in the author's words.
    #[param(rename = "Gatehouse-Reason", max_length = 1000)]
    gatehouse_reason: Option<String>,
}

/// A policy version in quotes.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^\"[0-9]+\"$")]
#[expect(dead_code, reason = "describes a header")]
pub(super) struct ETag(String);
