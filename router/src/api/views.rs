//! What can be looked at: lists, effective options, decisions, and the router's health.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::segment::Segment;
use crate::app::App;
use crate::moderation::unknown_client;
use crate::policy::merge::Merged;
use crate::policy::name::Name;
use crate::policy::scope_path::ScopePath;
use crate::problem::{Kind, Problem};

type Shared = State<Arc<App>>;

/// `GET /v1/models`: the names.
pub(super) async fn models(State(app): Shared) -> Json<Value> {
    let policy = app.policy.load();
    Json(json!({ "models": policy.models().map(|model| &model.name).collect::<Vec<_>>() }))
}

/// `GET /v1/scopes`: the paths, from the platform down.
pub(super) async fn scopes(State(app): Shared) -> Json<Value> {
    let policy = app.policy.load();
    Json(json!({ "scopes": policy.scopes().collect::<Vec<_>>() }))
}

/// The query of [`effective`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    /// The site whose options to show.
    site: Option<Name>,
}

/// `GET /v1/clients/{name}/effective`: the merged options, each field with the scope that set it.
pub(super) async fn effective(
    State(app): Shared,
    Segment(client): Segment<Name>,
    site: Result<Query<Site>, QueryRejection>,
) -> Result<Response, Problem> {
    let malformed =
        |rejection: QueryRejection| Problem::new(Kind::Malformed, rejection.body_text());
    let Query(Site { site }) = site.map_err(malformed)?;
    let policy = app.policy.load();
    let scope = policy.scope_of(&client, site.as_ref()).ok_or_else(|| unknown_client(&client))?;
    let options = policy.effective(&scope)?;
    let effective = Effective { client, scope: &scope, policy_version: policy.version, options };
    Ok(Json(effective).into_response())
}

#[derive(Serialize)]
struct Effective<'a> {
    client: Name,
    scope: &'a ScopePath,
    policy_version: i64,
    #[serde(flatten)]
    options: Merged,
}

/// `GET /v1/decisions/{id}`: the answer as it was given, byte for byte.
pub(super) async fn decision(
    State(app): Shared,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let unknown = || Problem::new(Kind::UnknownDecision, "no decision was stored with this id");
    let decision_id = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    let response = app.store.response(decision_id).await?.ok_or_else(unknown)?;
    Ok(([(CONTENT_TYPE, "application/json")], response).into_response())
}

/// `GET /livez`: the process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: which options are in force.
pub(super) async fn ready(State(app): Shared) -> Json<Value> {
    Json(json!({ "status": "ready", "policy_version": app.policy.load().version }))
}
