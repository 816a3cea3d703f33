//! `GET /v1/endpoints`: how each model's endpoint stands, as this router sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Caller, Permission};
use crate::app::App;
use crate::fanout::Fanout;
use crate::fanout::lane::{Lane, Position};
use crate::policy::model::Model;
use crate::policy::name::Name;
use crate::problem::Problem;

/// All endpoints that models in force name.
#[derive(Serialize, ToSchema)]
pub(super) struct Endpoints {
    /// By their addresses.
    endpoints: Vec<Standing>,
}

/// How one endpoint stands.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointStanding)]
struct Standing {
    /// `sagemaker:NAME`, `sagemaker:REGION/NAME`, or a URL without its query.
    endpoint: String,
    /// The models that answer there.
    models: Vec<Name>,
    /// Of the breaker: `closed` lets calls through, `open` fails them at once, `half-open` lets
    /// one through to see.
    #[schema(value_type = String)]
    state: Position,
    /// Until when calls fail at once; null unless the breaker is open.
    #[schema(format = "date-time")]
    open_until: Option<String>,
    /// Until when calls fail at once since the endpoint throttles; null where it doesn't.
    #[schema(format = "date-time")]
    throttled_until: Option<String>,
    /// Whether it has not answered for so long that the next call may have to wait for a start.
    is_cold: bool,
    /// Calls under way, second attempts included.
    in_flight: usize,
    /// Calls that wait for their turn: the models' `max_concurrency` is used up.
    waiting: usize,
    /// Failures one after another, those at one and the same content counted once.
    failures_in_a_row: u32,
    /// Half of its last answers took no longer; null until there are some.
    p50_ms: Option<f64>,
    /// 95 of 100 took no longer.
    p95_ms: Option<f64>,
    /// 99 of 100 took no longer.
    p99_ms: Option<f64>,
    /// How many calls may be made again now.
    retry_budget: f64,
    /// When it last answered.
    #[schema(format = "date-time")]
    last_success: Option<String>,
    /// When it last failed.
    #[schema(format = "date-time")]
    last_failure: Option<String>,
    /// How it last failed.
    last_cause: Option<String>,
}

/// How the endpoints stand, as this router sees them; takes `admin`, `models` or `read:*`.
#[utoipa::path(
    get,
    path = "/v1/endpoints",
    tag = "operation",
    responses((status = 200, description = "The endpoints.", body = Endpoints))
)]
pub(super) async fn endpoints(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<Endpoints>, Problem> {
    caller.demand(Permission::Endpoints)?;
    let policy = app.policy.load();
    let mut lanes: BTreeMap<String, (&Lane, Vec<&Model>)> = BTreeMap::new();
    for model in policy.models() {
        let lane = lanes.entry(model.document.endpoint.address());
        let (_, models) = lane.or_insert_with(|| (app.fanout.lane(model), Vec::new()));
        models.push(model);
    }
    let stand = |(lane, models): (_, Vec<_>)| stand(&app.fanout, lane, &models);
    Ok(Json(Endpoints { endpoints: lanes.into_values().map(stand).collect() }))
}

fn stand(fanout: &Fanout, lane: &Lane, models: &[&Model]) -> Standing {
    let standing = lane.standing();
    let (last_failure, last_cause) = standing.last_failure.unzip();
    let quantiles = standing.quantiles;
    Standing {
        endpoint: lane.endpoint.clone(),
        models: models.iter().map(|model| model.name.clone()).collect(),
        state: standing.position,
        open_until: standing.open_for.map(after),
        throttled_until: standing.throttled_for.map(after),
        is_cold: standing.is_cold,
        in_flight: standing.in_flight,
        waiting: models.iter().map(|model| fanout.waiting(model)).sum(),
        failures_in_a_row: standing.failures_in_a_row,
        p50_ms: quantiles.map(|quantiles| millis(quantiles.p50)),
        p95_ms: quantiles.map(|quantiles| millis(quantiles.p95)),
        p99_ms: quantiles.map(|quantiles| millis(quantiles.p99)),
        retry_budget: (standing.retries * 10.0).round() / 10.0,
        last_success: standing.last_success.map(|at| at.to_string()),
        last_failure: last_failure.map(|at| at.to_string()),
        last_cause,
    }
}

/// The time of day once so much more has passed.
fn after(pause: Duration) -> String {
    (Timestamp::now() + pause).to_string()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
