//! One call on its way to the container and back, in a task of its own: a caller who leaves does
//! not make the container idle, nor the next call fit in.

use std::future::pending;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Request};
use tokio::time::{sleep, timeout};

use super::headers;
use crate::body::INVOCATION_BYTES;
use crate::connections::Lost;
use crate::model_error::ModelError;
use crate::slot::{Call, Running};

/// A container must answer within a minute:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A container that broke off a call is given this long to turn out dead or alive.
const DOUBT_LIMIT: Duration = Duration::from_secs(2);

/// The container's answer; the call counts until it is there, whether the caller waits or not.
pub(super) async fn to_the_end(
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ModelError> {
    let tasks = call.slot().tasks.clone();
    let answered = tasks.spawn(pass_on(call, headers, body)).await;
    answered.unwrap_or_else(|error| Err(ModelError::silent(format!("the call failed: {error}"))))
}

async fn pass_on(call: Call, headers: HeaderMap, body: Bytes) -> Result<Response, ModelError> {
    let running = call.container().await;
    let running =
        running.map_err(|reason| ModelError::silent(format!("cannot start: {reason}")))?;
    match timeout(ANSWER_LIMIT, running.connections.ask(request(&headers, body))).await {
        Ok(Ok(answer)) => answered(answer),
        Ok(Err(Lost::TooLong)) => Err(ModelError::silent(format!(
            "the container's answer is longer than {INVOCATION_BYTES} bytes"
        ))),
        Ok(Err(Lost::Broken(cause))) => Err(explain(running, &cause).await),
        Err(_) => {
            call.doubt(running);
            Err(ModelError::silent(
                "Your invocation timed out while waiting for a response from container primary.",
            ))
        }
    }
}

fn request(given: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request =
        Request::post("/invocations").body(Full::new(body)).expect("the path is valid");
    headers::to_container(given, request.headers_mut());
    request
}

fn answered(answer: hyper::Response<Bytes>) -> Result<Response, ModelError> {
    let (parts, body) = answer.into_parts();
    if !parts.status.is_success() {
        return Err(ModelError::answered(parts.status, &body));
    }
    let mut response = Response::new(Body::from(body));
    headers::to_caller(&parts.headers, response.headers_mut());
    Ok(response)
}

/// A broken connection usually means that the container died; then it is gone from its slot
/// before the caller is answered, and the next call starts a new one.
async fn explain(mut running: Running, broken: &str) -> ModelError {
    let connections = running.connections.clone();
    let alive = async {
        if !connections.are_healthy().await {
            pending::<()>().await;
        }
    };
    let broken_off = || ModelError::silent(format!("the container broke off its answer: {broken}"));
    tokio::select! {
        reason = running.ended() => ModelError::silent(reason.to_string()),
        () = alive => broken_off(),
        () = sleep(DOUBT_LIMIT) => broken_off(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::fixture;
    use crate::region::Region;

    fn no_headers() -> HeaderMap {
        HeaderMap::new()
    }

    #[tokio::test]
    async fn a_container_that_hangs_costs_the_call_a_minute_and_is_replaced() {
        let homes = tempfile::tempdir().unwrap();
        let slot = fixture::python_slot(homes.path());
        let call = || slot.admit().unwrap();
        let mut running = call().container().await.unwrap();
        tokio::time::pause();
        let asked = Instant::now();
        let answer = to_the_end(call(), no_headers(), Bytes::from("freeze")).await;
        assert_eq!(asked.elapsed().as_secs(), ANSWER_LIMIT.as_secs());
        let refusal = format!("{:?}", answer.unwrap_err().of(&Region::of(&no_headers()), "spam"));
        assert!(refusal.contains("timed out") && refusal.contains("424"), "{refusal}");
        assert!(running.ended().await.to_string().contains("hung"));
        assert!(asked.elapsed() < ANSWER_LIMIT + Duration::from_secs(3));
        tokio::time::resume();
        to_the_end(call(), no_headers(), Bytes::from("hello")).await.unwrap();
    }

    #[tokio::test]
    async fn a_container_that_missed_a_call_but_answers_a_ping_stays() {
        let homes = tempfile::tempdir().unwrap();
        let slot = fixture::python_slot(homes.path());
        let call = slot.admit().unwrap();
        let mut running = call.container().await.unwrap();
        call.doubt(slot.admit().unwrap().container().await.unwrap());
        assert!(timeout(Duration::from_millis(300), running.ended()).await.is_err());
        slot.close();
        slot.closed().await;
    }

    #[tokio::test]
    async fn a_container_that_breaks_off_but_lives_is_told_at_once() {
        let homes = tempfile::tempdir().unwrap();
        let slot = fixture::python_slot(homes.path());
        slot.admit().unwrap().container().await.unwrap();
        let asked = Instant::now();
        let rude = to_the_end(slot.admit().unwrap(), no_headers(), Bytes::from("hang up")).await;
        let rude = format!("{:?}", rude.unwrap_err());
        assert!(rude.contains("broke off its answer"), "{rude}");
        assert!(asked.elapsed() < DOUBT_LIMIT / 2, "{:?}", asked.elapsed());
        slot.close();
        slot.closed().await;
    }
}
