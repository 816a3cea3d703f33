//! The control plane: `POST /` with the operation in `X-Amz-Target` and JSON in the body.

mod fields;
mod constraint;
mod support;
mod model;
mod endpoint_config;
mod variant;
mod capture;
mod endpoint;
mod description;
mod deployment;
mod weights;
mod tags;
mod list;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::app::App;
use crate::body::BodyError;
use crate::region::Region;
use fields::Fields;

/// More than any request that this host accepts can need.
pub(crate) const BODY_BYTES: usize = 1024 * 1024;

/// One request of the control plane.
pub(crate) struct Request<'a> {
    /// The state of the host.
    app: &'a Arc<App>,
    /// The region that the caller signs for.
    region: Region,
    /// What the caller sent.
    fields: Fields,
}

/// What an operation answers: an object, or nothing.
type Answer = Result<Option<Value>, ApiError>;

/// Runs the operation and writes its answer.
pub(crate) async fn operation(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix("SageMaker."));
    let Some(operation) = operation else {
        return Err(ApiError::unknown_operation(target.unwrap_or_default()));
    };
    let (fields, region, operation) =
        (Fields::parse(&body)?, Region::of(&headers), operation.to_owned());
    tracing::debug!(operation, "control plane");
    // In a task of its own: what was begun ends, even if the caller leaves meanwhile.
    let running = app
        .operations
        .clone()
        .spawn(async move { run(&operation, Request { app: &app, region, fields }).await });
    let answered =
        running.await.unwrap_or_else(|error| Err(ApiError::internal(&error.to_string())));
    answered.map(answer)
}

/// Why there is no body, in the control plane's words.
pub(crate) fn body_refusal(error: BodyError) -> ApiError {
    match error {
        BodyError::TooLong => ApiError::serialization("the request is larger than 1 MiB"),
        BodyError::Broken => ApiError::serialization("the request broke off"),
        BodyError::NoRoom => ApiError::rate_exceeded(),
    }
}

async fn run(operation: &str, request: Request<'_>) -> Answer {
    match operation {
        "CreateModel" => model::create(request).await,
        "DescribeModel" => model::describe(request),
        "DeleteModel" => model::delete(request).await,
        "ListModels" => model::list(request),
        "CreateEndpointConfig" => endpoint_config::create(request).await,
        "DescribeEndpointConfig" => endpoint_config::describe(request),
        "DeleteEndpointConfig" => endpoint_config::delete(request).await,
        "ListEndpointConfigs" => endpoint_config::list(request),
        "CreateEndpoint" => endpoint::create(request).await,
        "DescribeEndpoint" => endpoint::describe(request),
        "UpdateEndpoint" => endpoint::update(request).await,
        "UpdateEndpointWeightsAndCapacities" => weights::update(request).await,
        "DeleteEndpoint" => endpoint::delete(request).await,
        "ListEndpoints" => endpoint::list(request),
        "AddTags" => tags::add(request).await,
        "ListTags" => tags::list(request),
        "DeleteTags" => tags::delete(request).await,
        unknown => Err(ApiError::unknown_operation(unknown)),
    }
}

fn answer(value: Option<Value>) -> Response {
    let body = value.map_or_else(Body::empty, |value| Body::from(value.to_string()));
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
