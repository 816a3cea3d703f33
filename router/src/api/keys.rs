//! `/v1/keys`: making keys, looking at them, limiting and revoking them.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{MediaType, read_text};
use super::segment::Segment;
use crate::access::key::{KeyRecord, NewKey};
use crate::access::limit::PerMinute;
use crate::access::token::KeyId;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::policy::json::{Setting, read};
use crate::problem::{Kind, Problem};
use crate::store::keys::KeyChange;
use crate::store::unavailable;

/// The largest description of a key that is read.
const MAX_BYTES: usize = 64 * 1024;

type Shared = State<Arc<App>>;

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    /// By their age.
    keys: Vec<KeyRecord>,
}

/// All keys ever made, without their secrets; takes a key with the scope `admin`.
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "keys",
    operation_id = "list_keys",
    responses((status = 200, description = "The keys.", body = Keys)),
    extensions(("x-problems" = json!(["store-unavailable"])))
)]
pub(super) async fn list(State(app): Shared, caller: Caller) -> Result<Json<Keys>, Problem> {
    caller.demand(Permission::Admin)?;
    let (_, stored) = app.store.load_keys().await.map_err(|error| unavailable(&error))?;
    Ok(Json(Keys { keys: stored.into_iter().map(|stored| stored.record).collect() }))
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedKey)]
struct Created<'a> {
    #[serde(flatten)]
    record: &'a KeyRecord,
    /// The whole key, told here and never again.
    key: String,
}

/// Makes a key; takes one with the scope `admin`.
///
/// An owner has two active keys at most: one in use, and one to take its place. From the first key
/// on, the router demands one of everybody, on every route but the open ones.
#[utoipa::path(
    post,
    path = "/v1/keys",
    tag = "keys",
    operation_id = "create_key",
    request_body = NewKey,
    responses((
        status = 201,
        description = "The key.",
        body = Created<'_>,
        headers(
            ("Location" = String, description = "Where it is changed and revoked."),
            ("Cache-Control" = String, description = "`no-store`.")
        )
    )),
    extensions(("x-problems" = json!(["too-many-keys", "store-unavailable"])))
)]
pub(super) async fn create(
    State(app): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.demand(Permission::Admin)?;
    MediaType::demand_json(&headers)?;
    let new: NewKey = read(&read_text(body, MAX_BYTES).await?, "body")?;
    let (token, stored) = new.make(caller.name()).map_err(Problem::invalid)?;
    let made = app.store.create_key(&stored).await.map_err(|error| unavailable(&error))?;
    if made == KeyChange::TooMany {
        return Err(Problem::new(Kind::TooManyKeys, stored.record.too_many()));
    }
    in_force(&app).await;
    tracing::info!(key_id = %token.id(), owner = %stored.record.owner, "key made");
    let location = format!("/v1/keys/{}", token.id());
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    let created = Created { record: &stored.record, key: token.reveal() };
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

/// What of a key can be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyLimit)]
struct Limited {
    /// How many contents a minute it may be used for; null for as many as come.
    #[serde(default)]
    #[schema(value_type = Option<PerMinute>, required)]
    rate_limit_per_minute: Setting<PerMinute>,
}

/// Sets or lifts a key's limit; takes a key with the scope `admin`.
#[utoipa::path(
    patch,
    path = "/v1/keys/{key_id}",
    tag = "keys",
    operation_id = "limit_key",
    params(("key_id" = KeyId, Path, description = "The key's public part.")),
    request_body = Limited,
    responses((status = 204, description = "In force.")),
    extensions(("x-problems" = json!(["unknown-key", "store-unavailable"])))
)]
pub(super) async fn limit(
    State(app): Shared,
    caller: Caller,
    Segment(key_id): Segment<KeyId>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    caller.demand(Permission::Admin)?;
    MediaType::demand_json(&headers)?;
    let limited: Limited = read(&read_text(body, MAX_BYTES).await?, "body")?;
    let limit = match limited.rate_limit_per_minute {
        Setting::Set(limit) => Some(limit),
        Setting::Clear => None,
        Setting::Inherit => {
            let detail = "rate_limit_per_minute: say a number of contents, or null for no limit";
            return Err(Problem::invalid(detail));
        }
    };
    let changed = app.store.limit_key(&key_id, limit, caller.name()).await;
    changed_key(&app, &key_id, changed).await
}

/// Revokes a key for good, on every router within a second; takes a key with the scope `admin`.
#[utoipa::path(
    delete,
    path = "/v1/keys/{key_id}",
    tag = "keys",
    operation_id = "revoke_key",
    params(("key_id" = KeyId, Path, description = "The key's public part.")),
    responses((status = 204, description = "Revoked, now or before.")),
    extensions(("x-problems" = json!(["unknown-key", "store-unavailable"])))
)]
pub(super) async fn revoke(
    State(app): Shared,
    caller: Caller,
    Segment(key_id): Segment<KeyId>,
) -> Result<StatusCode, Problem> {
    caller.demand(Permission::Admin)?;
    let revoked = app.store.revoke_key(&key_id, caller.name()).await;
    changed_key(&app, &key_id, revoked).await
}

async fn changed_key(
    app: &App,
    key_id: &KeyId,
    change: Result<KeyChange, sqlx::Error>,
) -> Result<StatusCode, Problem> {
    if change.map_err(|error| unavailable(&error))? == KeyChange::Unknown {
        return Err(Problem::new(Kind::UnknownKey, format!("there is no key `{key_id}`")));
    }
    in_force(app).await;
    tracing::info!(%key_id, "key changed");
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a change in force here before it is answered.
async fn in_force(app: &App) {
    if let Err(error) = app.keys.catch_up(&app.store).await {
        tracing::warn!(%error, "a key was changed, but the change is not in force here yet");
    }
}
