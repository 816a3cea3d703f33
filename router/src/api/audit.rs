//! `GET /v1/audit`: who changed what, the latest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::query::{Asked, asked};
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::problem::Problem;
use crate::store::audit::Record;
use crate::store::unavailable;

/// How many entries are given where nobody says, and at most.
const ENTRIES: i64 = 50;
const MAX_ENTRIES: i64 = 1000;

/// Which part of the log to give.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only what came before this entry: the `next` of the answer before.
    #[param(value_type = Option<String>, format = "uuid")]
    before: Option<Uuid>,
    /// How many entries at most.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<i64>,
}

/// One page of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditLog)]
pub(super) struct Log {
    /// The entries, the latest first.
    audit: Vec<Record>,
    /// The `before` of the next page, if there may be one.
    #[schema(format = "uuid")]
    next: Option<String>,
}

/// Who changed what: options and keys, the latest first; takes a key with the scope `admin`.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "keys",
    params(Page),
    responses((status = 200, description = "One page of the log.", body = Log)),
    extensions(("x-problems" = json!(["store-unavailable"])))
)]
pub(super) async fn audit(
    State(app): State<Arc<App>>,
    caller: Caller,
    page: Asked<Page>,
) -> Result<Json<Log>, Problem> {
    caller.demand(Permission::Admin)?;
    let Page { before, limit } = asked(page)?;
    let limit = limit.unwrap_or(ENTRIES);
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(Problem::invalid(format!("limit: must be from 1 to {MAX_ENTRIES}")));
    }
    let audit = app.store.audit_log(before, limit).await.map_err(|error| unavailable(&error))?;
    let is_full = audit.len() as i64 == limit;
    let next = audit.last().filter(|_| is_full).map(|entry| entry.audit_id.clone());
    Ok(Json(Log { audit, next }))
}
