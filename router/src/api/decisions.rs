//! `GET /v1/decisions/{id}`: a verdict as it was answered, or word that it is being made.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{Caller, Permission};
use crate::app::App;
use crate::moderation::{self, LONGEST_WAIT};
use crate::problem::{Kind, Problem};
use crate::server::{DRAIN, FLUSH};
use crate::store::answered::Answered;

/// How long a verdict may be owed, also by a router that stops in the end.
const LONGEST_OWED: Duration = LONGEST_WAIT.saturating_add(DRAIN).saturating_add(FLUSH);

/// A verdict that is being made.
#[derive(Serialize, ToSchema)]
pub(super) struct Pending {
    /// By which it will be found.
    #[schema(value_type = String, format = "uuid")]
    decision_id: String,
    /// Always `pending`.
    status: &'static str,
}

/// Tells where a verdict will be found.
pub(super) fn pending(decision_id: Uuid) -> Response {
    let id = decision_id.to_string();
    let location = [(LOCATION, format!("/v1/decisions/{id}")), (RETRY_AFTER, "1".to_owned())];
    let body = Json(Pending { decision_id: id, status: "pending" });
    (StatusCode::ACCEPTED, location, body).into_response()
}

/// A decision, byte for byte as it was answered.
///
/// Another client's decision looks like none at all, and so does, at other routers, a verdict that
/// one still owes (`respond-async`): ask again while its id is young. Where a later decision has taken its place,
/// made with scores that had not come in time, `Link` names that as the `successor-version`.
#[utoipa::path(
    get,
    path = "/v1/decisions/{id}",
    tag = "moderation",
    params(("id" = String, Path, format = "uuid", description = "The `decision_id`.")),
    responses(
        (status = 200, description = "The verdict.", body = moderation::Response<'_>),
        (status = 202, description = "It is being made (`respond-async`).", body = Pending)
    ),
    extensions(("x-problems" = json!(["unknown-decision", "store-unavailable"])))
)]
pub(super) async fn decision(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    caller.demand(Permission::ReadSome)?;
    let decision_id = id.ok().and_then(|Path(id)| id.parse().ok());
    let unknown = || unknown(decision_id);
    let decision_id = decision_id.ok_or_else(unknown)?;
    if let Some(client) = app.awaited.client_of(decision_id) {
        let is_read = caller.may(Permission::Read(&client));
        return is_read.then(|| pending(decision_id)).ok_or_else(unknown);
    }
    let found = app.store.answered(decision_id).await?.ok_or_else(unknown)?;
    // Another client's decision looks like none at all.
    let is_read = found.client.parse().is_ok_and(|client| caller.may(Permission::Read(&client)));
    is_read.then(|| answer(found)).ok_or_else(unknown)
}

fn unknown(decision_id: Option<Uuid>) -> Problem {
    let detail = if decision_id.is_some_and(may_be_owed) {
        "no decision is stored with this id; if another router has promised it (202), it may still \
         be making it: ask again, that router or any"
    } else {
        "no decision was stored with this id"
    };
    Problem::new(Kind::UnknownDecision, detail)
}

/// Whether an id is so young, by the time that it is made of, that its verdict may still be made
/// somewhere; clocks may differ.
fn may_be_owed(decision_id: Uuid) -> bool {
    let Some(made) = decision_id.get_timestamp().filter(|_| decision_id.get_version_num() == 7)
    else {
        return false;
    };
    let (seconds, nanos) = made.to_unix();
    let made = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
    let age = made.elapsed().unwrap_or_else(|ahead| ahead.duration());
    age < LONGEST_OWED
}

fn answer(Answered { response, superseded_by, .. }: Answered) -> Response {
    let mut answer = ([(CONTENT_TYPE, "application/json")], response).into_response();
    let link = superseded_by.map(|id| format!("</v1/decisions/{id}>; rel=\"successor-version\""));
    if let Some(link) = link.and_then(|link| link.parse().ok()) {
        answer.headers_mut().insert(LINK, link);
    }
    answer
}
