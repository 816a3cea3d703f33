//! The runtime: passes calls to an endpoint's container and its answers back.

mod headers;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Request};

use crate::api_error::ApiError;
use crate::app::{App, ContainerClient};
use crate::body::{self, BodyError, INVOCATION_BYTES};
use crate::model_error::ModelError;
use crate::region::{ACCOUNT, Region};
use crate::slot::{Call, Running, Slot};

/// A container must answer within a minute:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html>
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A container that broke off a call is given this long to turn out dead rather than rude.
const DEATH_LIMIT: Duration = Duration::from_secs(2);

/// Why a container's answer is not passed on.
enum Failure {
    /// The connection broke, for this cause.
    Broken(String),
    /// The container answered something that SageMaker does not pass on.
    Model(ModelError),
}

/// Answers a call, after starting the container if none runs.
pub(crate) async fn invoke(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    given: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = body::read(body, INVOCATION_BYTES).await.map_err(body_refusal)?;
    let slot = open_slot(&app, &name)?;
    headers::check(&given, &slot.variant.variant_name)?;
    let region = Region::of(&given);
    let call = slot.admit().ok_or_else(ApiError::throttled)?;
    let answered = pass_on(&app.client, &call, &given, body).await;
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

async fn pass_on(
    client: &ContainerClient,
    call: &Call,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, ModelError> {
    let running = call.container().await;
    let running =
        running.map_err(|reason| ModelError::silent(format!("cannot start: {reason}")))?;
    forward(client, running, headers, body).await
}

async fn forward(
    client: &ContainerClient,
    running: Running,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, ModelError> {
    let request = container_request(&running, headers, body);
    match tokio::time::timeout(ANSWER_LIMIT, ask(client, request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Failure::Model(error))) => Err(error),
        Ok(Err(Failure::Broken(cause))) => Err(explain(running, &cause).await),
        Err(_) => Err(ModelError::silent(
            "Your invocation timed out while waiting for a response from container primary.",
        )),
    }
}

fn container_request(running: &Running, given: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let uri = format!("http://{}/invocations", running.address);
    let mut request = Request::post(uri)
        .body(Full::new(body))
        .expect("a socket address and a fixed path make a valid address");
    headers::to_container(given, request.headers_mut());
    request
}

async fn ask(client: &ContainerClient, request: Request<Full<Bytes>>) -> Result<Response, Failure> {
    let answer = client.request(request).await;
    let (parts, body) = answer.map_err(|error| Failure::Broken(full_message(&error)))?.into_parts();
    let body = match Limited::new(body, INVOCATION_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the container's answer is longer than {INVOCATION_BYTES} bytes");
            return Err(Failure::Model(ModelError::silent(message)));
        }
        Err(error) => return Err(Failure::Broken(full_message(&*error))),
    };
    if !parts.status.is_success() {
        return Err(Failure::Model(ModelError::answered(parts.status, &body)));
    }
    let mut response = Response::new(Body::from(body));
    headers::to_caller(&parts.headers, response.headers_mut());
    Ok(response)
}

/// A broken connection usually means that the container died; then it is gone from its slot
/// before the caller is answered, and the next call starts a new one.
async fn explain(running: Running, broken: &str) -> ModelError {
    match running.end(DEATH_LIMIT).await {
        Some(reason) => ModelError::silent(reason.to_string()),
        None => ModelError::silent(format!("the container broke off its answer: {broken}")),
    }
}

fn full_message(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use tokio::net::TcpListener;

    use super::*;
    use crate::app::container_client;

    #[tokio::test(start_paused = true)]
    async fn a_container_that_never_answers_is_a_model_error_after_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running = Running::at(listener.local_addr().unwrap());
        let asked = tokio::time::Instant::now();
        let answer = forward(&container_client(), running, &HeaderMap::new(), Bytes::new()).await;
        assert_eq!(asked.elapsed().as_secs(), ANSWER_LIMIT.as_secs());
        let refusal = format!("{:?}", answer.unwrap_err().of(&Region::of(&HeaderMap::new()), "e"));
        assert!(refusal.contains("timed out"), "{refusal}");
        assert!(refusal.contains(&StatusCode::FAILED_DEPENDENCY.as_u16().to_string()));
    }
}
