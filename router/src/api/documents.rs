//! Models and scopes: getting, putting and deleting their documents.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::{MediaType, read_text};
use super::change::{Done, Edit, Proposal, change, reason, unknown};
use super::openapi::{ChangeHeaders, ETag};
use super::precondition::{Precondition, etag};
use super::segment::Segment;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::policy::model::ModelDocument;
use crate::policy::name::Name;
use crate::policy::scope::ScopeDocument;
use crate::policy::scope_path::ScopePath;
use crate::policy::subject::Subject;
use crate::problem::Problem;

/// The largest document that is read.
pub(super) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

type Shared = State<Arc<App>>;

/// Gives a model's registration as it was put, with the ETag to change it by.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    tag = "models",
    operation_id = "get_model",
    params(("name" = Name, Path, description = "The model.")),
    responses((
        status = 200,
        description = "The document, byte for byte as it was put.",
        body = ModelDocument,
        headers(("ETag" = ETag, description = "The policy version that it came with."))
    )),
    extensions(("x-problems" = json!(["unknown-model"])))
)]
pub(super) async fn get_model(
    State(app): Shared,
    _: Caller,
    Segment(name): Segment<Name>,
) -> Result<Response, Problem> {
    get(&app, &Subject::Model(name))
}

/// Gives a scope's document as it was put, with the ETag to change it by.
#[utoipa::path(
    get,
    path = "/v1/scopes/{path}",
    tag = "scopes",
    operation_id = "get_scope",
    params(("path" = ScopePath, Path)),
    responses((
        status = 200,
        description = "The document, byte for byte as it was put.",
        body = ScopeDocument,
        headers(("ETag" = ETag, description = "The policy version that it came with."))
    )),
    extensions(("x-problems" = json!(["unknown-scope"])))
)]
pub(super) async fn get_scope(
    State(app): Shared,
    caller: Caller,
    Segment(path): Segment<ScopePath>,
) -> Result<Response, Problem> {
    caller.demand(Permission::ReadScope(&path))?;
    get(&app, &Subject::Scope(path))
}

/// Puts a model's registration, checked against all options that it is part of.
///
/// Needs `If-None-Match: *` for a new document, or `If-Match` with the ETag of the one to replace.
#[utoipa::path(
    put,
    path = "/v1/models/{name}",
    tag = "models",
    operation_id = "put_model",
    params(("name" = Name, Path, description = "The model."), ChangeHeaders),
    request_body(content = ModelDocument, description = "At most 256 KiB."),
    responses(
        (
            status = 201,
            description = "Made, and in force.",
            headers(("ETag" = ETag, description = "The new policy version."))
        ),
        (
            status = 204,
            description = "Replaced, and in force.",
            headers(("ETag" = ETag, description = "The new policy version."))
        )
    ),
    extensions(("x-problems" = json!([
        "changed", "precondition-required", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn put_model(
    State(app): Shared,
    caller: Caller,
    Segment(name): Segment<Name>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    put((app, caller), Subject::Model(name), &headers, body).await
}

/// Puts a scope's document, checked against all options that it is part of.
///
/// Needs `If-None-Match: *` for a new document, or `If-Match` with the ETag of the one to replace.
#[utoipa::path(
    put,
    path = "/v1/scopes/{path}",
    tag = "scopes",
    operation_id = "put_scope",
    params(("path" = ScopePath, Path), ChangeHeaders),
    request_body(content = ScopeDocument, description = "At most 256 KiB."),
    responses(
        (
            status = 201,
            description = "Made, and in force.",
            headers(("ETag" = ETag, description = "The new policy version."))
        ),
        (
            status = 204,
            description = "Replaced, and in force.",
            headers(("ETag" = ETag, description = "The new policy version."))
        )
    ),
    extensions(("x-problems" = json!([
        "changed", "precondition-required", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn put_scope(
    State(app): Shared,
    caller: Caller,
    Segment(path): Segment<ScopePath>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    put((app, caller), Subject::Scope(path), &headers, body).await
}

/// Deletes a model's registration that nothing else needs.
#[utoipa::path(
    delete,
    path = "/v1/models/{name}",
    tag = "models",
    operation_id = "delete_model",
    params(("name" = Name, Path, description = "The model."), ChangeHeaders),
    responses((status = 204, description = "Gone.")),
    extensions(("x-problems" = json!([
        "unknown-model", "in-use", "changed", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn delete_model(
    State(app): Shared,
    caller: Caller,
    Segment(name): Segment<Name>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    delete((app, caller), Subject::Model(name), &headers).await
}

/// Deletes a scope's document that nothing else needs.
#[utoipa::path(
    delete,
    path = "/v1/scopes/{path}",
    tag = "scopes",
    operation_id = "delete_scope",
    params(("path" = ScopePath, Path), ChangeHeaders),
    responses((status = 204, description = "Gone.")),
    extensions(("x-problems" = json!([
        "unknown-scope", "in-use", "changed", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn delete_scope(
    State(app): Shared,
    caller: Caller,
    Segment(path): Segment<ScopePath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    delete((app, caller), Subject::Scope(path), &headers).await
}

fn get(app: &App, subject: &Subject) -> Result<Response, Problem> {
    let policy = app.policy.load();
    let document = policy.document(subject).ok_or_else(|| unknown(subject))?;
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, etag(document.version))];
    Ok((headers, document.text.to_string()).into_response())
}

/// Where a change is made, and who makes it.
type Site = (Arc<App>, Caller);

async fn put(
    site: Site,
    subject: Subject,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    site.1.demand(Permission::Change(&subject))?;
    MediaType::demand_json(headers)?;
    let precondition = Some(Precondition::demanded(headers)?);
    let reason = reason(headers)?;
    let text = read_text(body, MAX_DOCUMENT_BYTES).await?.into();
    let done = change_one(site, precondition, reason, Edit::Put(subject, text)).await?;
    let is_new = done.changes.iter().all(|change| change.before.is_none());
    let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    Ok((status, [(ETAG, etag(done.version))]).into_response())
}

async fn delete(site: Site, subject: Subject, headers: &HeaderMap) -> Result<Response, Problem> {
    site.1.demand(Permission::Change(&subject))?;
    let (precondition, reason) = (Precondition::of(headers)?, reason(headers)?);
    change_one(site, precondition, reason, Edit::Delete(subject)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn change_one(
    (app, caller): Site,
    precondition: Option<Precondition>,
    reason: Option<String>,
    edit: Edit,
) -> Result<Done, Problem> {
    change(app, Proposal { caller, reason, precondition, edit, dry_run: false, room: None }).await
}
