//! Makes versions of the options: of many documents at once, or of those of an old one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::body::{MediaType, read_text, too_large};
use super::change::{Done, Edit, Proposal, change, reason};
use super::difference::{Shown, show};
use super::documents::MAX_DOCUMENT_BYTES;
use super::openapi::{AnyDocument, ETag, VersionHeaders};
use super::precondition::{Precondition, etag};
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::policy::json::{self, distinct_keys};
use crate::policy::subject::Subject;
use crate::problem::Problem;

/// The largest body with many documents that is read.
pub(super) const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

type Shared = State<Arc<App>>;

/// Documents as they are sent; those without one are to be deleted.
pub(super) type RawDocuments = BTreeMap<Subject, Option<Box<RawValue>>>;

/// What documents that were sent are to change.
pub(super) fn edit(documents: RawDocuments) -> Result<Edit, Problem> {
    let documents = documents.into_iter().map(|(subject, text)| {
        let text: Option<Arc<str>> = text.map(|text| text.get().into());
        match &text {
            Some(text) if text.len() > MAX_DOCUMENT_BYTES => {
                Err(too_large("document", MAX_DOCUMENT_BYTES).about(subject))
            }
            _ => Ok((subject, text)),
        }
    });
    documents.collect::<Result<_, _>>().map(Edit::Documents)
}

/// Documents to put and delete, all at once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewVersion)]
struct Creation {
    /// The documents by subject; null deletes one. Those that say what is stored are left alone.
    #[serde(deserialize_with = "distinct_keys")]
    #[schema(value_type = BTreeMap<Subject, AnyDocument>)]
    documents: RawDocuments,
    /// Whether only to check them, and to say what would change.
    #[serde(default)]
    dry_run: bool,
}

/// Puts and deletes many documents as one version, all or none.
#[utoipa::path(
    post,
    path = "/v1/policy/versions",
    tag = "policy",
    operation_id = "create_version",
    params(VersionHeaders),
    request_body(content = Creation, description = "At most 8 MiB."),
    responses(
        (
            status = 201,
            description = "A new version, in force.",
            body = Change<'_>,
            headers(("ETag" = ETag, description = "The policy version in force."))
        ),
        (
            status = 200,
            description = "What would change (`dry_run`), or that nothing did.",
            body = Change<'_>,
            headers(("ETag" = ETag, description = "The policy version in force."))
        )
    ),
    extensions(("x-problems" = json!([
        "in-use", "changed", "overloaded", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn create(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.demand(Permission::ChangeSome)?;
    MediaType::demand_json(&headers)?;
    let room = app.rooms.take(&caller, &body)?;
    let text = read_text(body, MAX_BODY_BYTES).await?;
    let Creation { documents, dry_run } = json::read(&text, "body")?;
    let proposal = Proposal {
        caller,
        reason: reason(&headers)?,
        precondition: Precondition::of(&headers)?,
        edit: edit(documents)?,
        dry_run,
        room,
    };
    answer(&change(app, proposal).await?)
}

/// The version to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reversion {
    /// The version whose documents are to hold again; at 0 there were none.
    #[schema(minimum = 0)]
    version: i64,
    /// Whether only to check it, and to say what would change.
    #[serde(default)]
    dry_run: bool,
}

/// Makes a new version whose documents are those of an old one.
#[utoipa::path(
    post,
    path = "/v1/policy/revert",
    tag = "policy",
    operation_id = "revert",
    params(VersionHeaders),
    request_body = Reversion,
    responses(
        (
            status = 201,
            description = "A new version, in force.",
            body = Change<'_>,
            headers(("ETag" = ETag, description = "The policy version in force."))
        ),
        (
            status = 200,
            description = "What would change (`dry_run`), or that nothing did.",
            body = Change<'_>,
            headers(("ETag" = ETag, description = "The policy version in force."))
        )
    ),
    extensions(("x-problems" = json!([
        "unknown-version", "in-use", "changed", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn revert(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.demand(Permission::ChangeSome)?;
    MediaType::demand_json(&headers)?;
    let text = read_text(body, MAX_DOCUMENT_BYTES).await?;
    let Reversion { version, dry_run } = json::read(&text, "body")?;
    let proposal = Proposal {
        caller,
        reason: reason(&headers)?.or_else(|| Some(format!("revert to version {version}"))),
        precondition: Precondition::of(&headers)?,
        edit: Edit::Revert(version),
        dry_run,
        room: None,
    };
    answer(&change(app, proposal).await?)
}

fn answer(done: &Done) -> Result<Response, Problem> {
    let status = if done.made { StatusCode::CREATED } else { StatusCode::OK };
    let body = Change { version: done.version, changes: show(&done.changes)? };
    Ok((status, [(ETAG, etag(done.version))], Json(body)).into_response())
}

/// What changed, or would change.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyChange)]
struct Change<'a> {
    /// The policy version in force.
    version: i64,
    /// One for each document that differs.
    changes: Vec<Shown<'a>>,
}
