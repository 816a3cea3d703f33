//! What can be looked at: lists, effective options, decisions, and the router's health.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{Asked, asked};
use super::segment::Segment;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::moderation::unknown_client;
use crate::policy::merge::Merged;
use crate::policy::name::Name;
use crate::policy::scope_path::ScopePath;
use crate::problem::Problem;

type Shared = State<Arc<App>>;

/// The registered models.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelNames {
    /// Their names.
    models: Vec<Name>,
}

/// The names of all registered models.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "models",
    responses((status = 200, description = "The names.", body = ModelNames))
)]
pub(super) async fn models(State(app): Shared, _: Caller) -> Json<ModelNames> {
    let policy = app.policy.load();
    Json(ModelNames { models: policy.models().map(|model| model.name.clone()).collect() })
}

/// The scopes that have options.
#[derive(Serialize, ToSchema)]
pub(super) struct ScopePaths {
    /// Their paths.
    scopes: Vec<ScopePath>,
}

/// The paths of all scopes that the key may read, from the platform down.
#[utoipa::path(
    get,
    path = "/v1/scopes",
    tag = "scopes",
    responses((status = 200, description = "The paths.", body = ScopePaths))
)]
pub(super) async fn scopes(State(app): Shared, caller: Caller) -> Json<ScopePaths> {
    let policy = app.policy.load();
    let seen = policy.scopes().filter(|path| caller.may(Permission::ReadScope(path)));
    Json(ScopePaths { scopes: seen.cloned().collect() })
}

/// The query of [`effective`].
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    /// The site whose options to show.
    site: Option<Name>,
}

/// A client's merged options, each field with the scope that set it.
#[utoipa::path(
    get,
    path = "/v1/clients/{name}/effective",
    tag = "scopes",
    params(("name" = Name, Path, description = "The client."), Site),
    responses((status = 200, description = "The options in force.", body = Effective<'_>)),
    extensions(("x-problems" = json!(["unknown-client"])))
)]
pub(super) async fn effective(
    State(app): Shared,
    caller: Caller,
    Segment(client): Segment<Name>,
    site: Asked<Site>,
) -> Result<Response, Problem> {
    caller.demand(Permission::Read(&client))?;
    let Site { site } = asked(site)?;
    let policy = app.policy.load();
    let scope = policy.scope_of(&client, site.as_ref()).ok_or_else(|| unknown_client(&client))?;
    let options = policy.effective(&scope)?;
    let effective = Effective { client, scope: &scope, policy_version: policy.version, options };
    Ok(Json(effective).into_response())
}

/// The options that hold for a client or one of its sites.
#[derive(Serialize, ToSchema)]
struct Effective<'a> {
    /// The client.
    client: Name,
    /// The scope whose options these are: the site's, or the client's where the site has none.
    scope: &'a ScopePath,
    /// The version of the options in force.
    policy_version: i64,
    #[serde(flatten)]
    options: Merged,
}

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operation",
    security(()),
    responses((status = 200, description = "`ok`.", body = String, content_type = "text/plain"))
)]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// How the router stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Always `ready`: without its database, the router goes on with the options that it has.
    status: &'static str,
    /// The version of the options in force.
    policy_version: i64,
    /// `up`, or `down` while the database does not answer.
    database: &'static str,
}

/// Which options are in force, and whether the database answers.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    security(()),
    responses((status = 200, description = "The router takes requests.", body = Readiness))
)]
pub(super) async fn ready(State(app): Shared) -> Json<Readiness> {
    let database = if app.metrics.is_database_up() { "up" } else { "down" };
    Json(Readiness { status: "ready", policy_version: app.policy.load().version, database })
}

/// What the router counts, for Prometheus; takes a key with the scope `admin` or `read:*`.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((
        status = 200,
        description = "OpenMetrics' text.",
        body = String,
        content_type = "application/openmetrics-text"
    ))
)]
pub(super) async fn metrics(State(app): Shared, caller: Caller) -> Result<Response, Problem> {
    caller.demand(Permission::Metrics)?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    app.fanout.note_waiting(&app.policy.load());
    let text = app.metrics.expose(app.store.spooled().await);
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
