//! The runtime: passes calls to an endpoint's container and its answers back.

mod forward;
mod headers;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use hyper::HeaderMap;

use crate::api_error::ApiError;
use crate::app::App;
use crate::body::{self, BodyError, INVOCATION_BYTES};
use crate::region::{ACCOUNT, Region};
use crate::slot::{Call, Slot};

/// Answers a call, after starting the container if none runs.
pub(crate) async fn invoke(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    given: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let call = match admit(&app, &name, &given) {
        Ok(call) => call,
        Err(refusal) => {
            body::discard(body).await;
            return Err(refusal);
        }
    };
    let body = body::read(body, INVOCATION_BYTES).await.map_err(body_refusal)?;
    let region = Region::of(&given);
    let slot = Arc::clone(call.slot());
    let answered = forward::to_the_end(call, given, body).await;
    let answer = answered.map_err(|error| error.of(&region, &name))?;
    Ok(headers::with_variant(answer, &slot.variant.variant_name))
}

/// `InvokeEndpointWithResponseStream` is not there yet.
pub(crate) async fn refuse_stream() -> ApiError {
    ApiError::invocation(
        "InvokeEndpointWithResponseStream is not supported yet; use InvokeEndpoint",
    )
}

/// Serverless endpoints have no `InvokeEndpointAsync`.
pub(crate) async fn refuse_async() -> ApiError {
    ApiError::invocation("serverless endpoints have no InvokeEndpointAsync; use InvokeEndpoint")
}

fn admit(app: &App, name: &str, given: &HeaderMap) -> Result<Call, ApiError> {
    let slot = open_slot(app, name)?;
    headers::check(given, &slot.variant.variant_name)?;
    slot.admit().ok_or_else(ApiError::throttled)
}

fn body_refusal(error: BodyError) -> ApiError {
    ApiError::invocation(match error {
        BodyError::TooLong => format!(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: \
             Member must have length less than or equal to {INVOCATION_BYTES}"
        ),
        BodyError::Broken => "the body broke off".to_owned(),
    })
}

fn open_slot(app: &App, name: &str) -> Result<Arc<Slot>, ApiError> {
    if let Some(slot) = app.fleet.get(name).filter(|slot| slot.is_open()) {
        return Ok(slot);
    }
    Err(ApiError::invocation(match app.registry.endpoints.get(name) {
        Some(endpoint) => {
            let status = endpoint.status.word();
            format!("Endpoint {name} of account {ACCOUNT} is {status}, not InService.")
        }
        None => format!("Endpoint {name} of account {ACCOUNT} not found."),
    }))
}
