//! The runtime: passes calls to an endpoint's container and its answers back.

mod failure;
mod forward;
mod frames;
mod headers;
mod outcome;
mod stream;
mod taken;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use hyper::HeaderMap;
use tokio::sync::oneshot;

use crate::api_error::ApiError;
use crate::app::App;
use crate::body::{BodyError, INVOCATION_BYTES};
use crate::pool::Refused;
use crate::region::{ACCOUNT, Region};
use failure::Failure;
pub(crate) use taken::Taken;

/// Answers a call, after starting a container if none runs.
pub(crate) async fn invoke(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    given: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let taken = admit(&app, &name, &given)?;
    let (region, pool) = (Region::of(&given), Arc::clone(taken.pool()));
    let failed = |failure: Failure| failure.of(&app, &region, &name);
    // Not in a task of its own: a caller who leaves while waiting gives up the place.
    let started = taken.start(&given, &body).await.map_err(failed)?;
    let answered = pool.tasks.spawn(started.answer(given, body)).await;
    let answered = answered.unwrap_or_else(|error| Err(Failure::Internal(error.to_string())));
    Ok(headers::with_variant(answered.map_err(failed)?, pool.variant_name()))
}

/// Answers a call in parts, as they come from the container.
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    mut given: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let taken = admit(&app, &name, &given)?;
    let (region, pool) = (Region::of(&given), Arc::clone(taken.pool()));
    let failed = |failure: Failure| failure.of(&app, &region, &name);
    headers::accept_of_stream(&mut given);
    let started = taken.start(&given, &body).await.map_err(failed)?;
    let (begun, answered) = oneshot::channel();
    pool.tasks.spawn(started.stream(given, body, begun));
    let answered = answered.await;
    let answered = answered.unwrap_or_else(|_| Err(Failure::Internal("a task ended".to_owned())));
    Ok(headers::with_variant(answered.map_err(failed)?, pool.variant_name()))
}

/// Serverless endpoints have no `InvokeEndpointAsync`.
pub(crate) async fn refuse_async() -> ApiError {
    ApiError::invocation("serverless endpoints have no InvokeEndpointAsync; use InvokeEndpoint")
}

/// Takes a call in, whose body is there. Where an update has taken over in this very moment, what is new answers.
fn admit(app: &Arc<App>, name: &str, given: &HeaderMap) -> Result<Taken, ApiError> {
    loop {
        let traffic = app.fleet.get(name).ok_or_else(|| unanswered(app, name))?;
        headers::check(given)?;
        let share = traffic.choose(headers::target_variant(given)).map_err(ApiError::invocation)?;
        match share.pool.admit() {
            Ok(call) => return Ok(Taken::new(app, &traffic, share, call)),
            Err(Refused::Full) => {
                share.tally(&app.meter).counters.throttled();
                return Err(ApiError::throttled());
            }
            Err(Refused::Closed) => {}
        }
        if app.fleet.get(name).is_some_and(|now| Arc::ptr_eq(&now, &traffic)) {
            return Err(unanswered(app, name));
        }
    }
}

/// Why there is no body, in the runtime's words.
pub(crate) fn body_refusal(error: BodyError) -> ApiError {
    ApiError::invocation(match error {
        BodyError::NoRoom => return ApiError::no_room(),
        BodyError::TooLong => format!(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: \
             Member must have length less than or equal to {INVOCATION_BYTES}"
        ),
        BodyError::Broken => "the body broke off".to_owned(),
    })
}

/// Why nothing answers for an endpoint: it is in no such status, or the host is stopping.
fn unanswered(app: &App, name: &str) -> ApiError {
    ApiError::invocation(match app.registry.endpoints.get(name) {
        Some(endpoint) if endpoint.status.answers() => return ApiError::unavailable(),
        Some(endpoint) => {
            let status = endpoint.status.word();
            format!("Endpoint {name} of account {ACCOUNT} is {status}, not InService.")
        }
        None => format!("Endpoint {name} of account {ACCOUNT} not found."),
    })
}
