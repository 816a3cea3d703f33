//! One call on its way to the container and back.

use std::future::pending;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Request};
use tokio::time::{Instant, sleep, timeout};

use super::failure::Failure;
use super::headers;
use super::outcome::{Outcome, Output};
use crate::body::INVOCATION_BYTES;
use crate::connections::Lost;
use crate::meter::Ending;
use crate::model_error::ModelError;
use crate::pool::{Call, Running};

/// A container must answer within a minute:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A container that broke off a call is given this long to turn out dead or alive.
const DOUBT_LIMIT: Duration = Duration::from_secs(2);

/// So many containers that are gone before they can be asked cost a call no more than time.
pub(super) const SPARES: usize = 3;

/// What SageMaker tells the caller of a model that takes too long.
pub(super) const TIMED_OUT: &str =
    "Your invocation timed out while waiting for a response from container primary.";

/// A call and the container that it has for itself.
pub(super) struct Way {
    /// What counts while the call is in flight.
    pub(super) call: Call,
    /// The container; it is free again when this is dropped.
    pub(super) running: Running,
}

impl Way {
    /// Takes another container in place of one that was gone before anything was sent to it.
    pub(super) async fn renew(&mut self) -> Result<(), Failure> {
        match timeout(DOUBT_LIMIT, self.running.ended()).await {
            Ok(reason) if reason.is_closed() => Err(Failure::Closed),
            Ok(_) => {
                let other = self.call.container().await;
                self.running = other.map_err(Failure::no_container)?;
                Ok(())
            }
            Err(_) => Err(Failure::silent("the container runs but takes no connection")),
        }
    }
}

/// The container's answer.
pub(super) async fn pass_on(
    mut way: Way,
    headers: &HeaderMap,
    body: Bytes,
    outcome: &mut Outcome,
) -> Result<Response, Failure> {
    let (request, mut spares) = (request(headers, body), 0..SPARES);
    loop {
        let asked = Instant::now();
        let asking = way.running.connections.ask(request.clone());
        let asking = timeout(ANSWER_LIMIT, asking).await;
        outcome.model = Some(asked.elapsed());
        return match asking {
            Ok(Ok(answer)) => answered(answer, outcome),
            Ok(Err(Lost::TooLong)) => Err(too_long()),
            Ok(Err(Lost::Unsent(_))) if spares.next().is_some() => {
                way.renew().await?;
                continue;
            }
            Ok(Err(Lost::Unsent(cause) | Lost::Broken(cause))) => {
                Err(explain(way.running, &cause).await)
            }
            Err(_) => {
                way.call.doubt(way.running);
                Err(Failure::silent(TIMED_OUT))
            }
        };
    }
}

/// The call as the container gets it.
pub(super) fn request(given: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request =
        Request::post("/invocations").body(Full::new(body)).expect("the path is valid");
    headers::to_container(given, request.headers_mut());
    request
}

/// The container's answer is more than SageMaker passes on.
pub(super) fn too_long() -> Failure {
    Failure::silent(format!("the container's answer is longer than {INVOCATION_BYTES} bytes"))
}

fn answered(answer: hyper::Response<Bytes>, outcome: &mut Outcome) -> Result<Response, Failure> {
    let (parts, body) = answer.into_parts();
    outcome.ending = Ending::Answered(parts.status.as_u16());
    outcome.bytes_out = body.len();
    if !parts.status.is_success() {
        return Err(Failure::Model(ModelError::answered(parts.status, &body)));
    }
    let content_type = headers::content_type(&parts.headers);
    outcome.output = Some(Output { content_type, body: body.clone() });
    let mut response = Response::new(Body::from(body));
    headers::to_caller(&parts.headers, response.headers_mut());
    Ok(response)
}

/// A broken connection usually means that the container died; then it is gone from its pool
/// before the caller is answered, and the next call starts a new one.
pub(super) async fn explain(running: Running, broken: &str) -> Failure {
    let connections = running.connections.clone();
    let alive = async {
        if !connections.are_healthy().await {
            pending::<()>().await;
        }
    };
    let broken_off = || Failure::silent(format!("the container broke off its answer: {broken}"));
    tokio::select! {
        reason = running.ended() => Failure::ended(&reason),
        () = alive => broken_off(),
        () = sleep(DOUBT_LIMIT) => broken_off(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::fixture;
    use crate::pool::Pool;
    use crate::region::Region;

    async fn body(answer: Response) -> Bytes {
        axum::body::to_bytes(answer.into_body(), INVOCATION_BYTES).await.unwrap()
    }

    fn no_headers() -> HeaderMap {
        HeaderMap::new()
    }

    async fn ask(pool: &Arc<Pool>, body: &'static str) -> Result<Response, Failure> {
        let call = pool.admit().unwrap();
        let running = call.container().await.unwrap();
        let mut outcome = Outcome::default();
        let way = Way { call, running };
        pass_on(way, &no_headers(), Bytes::from(body), &mut outcome).await
    }

    fn refusal(answer: Result<Response, Failure>) -> String {
        match answer.unwrap_err() {
            Failure::Model(error) => format!("{:?}", error.of(&Region::of(&no_headers()), "spam")),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_container_that_hangs_costs_the_call_a_minute_and_is_replaced() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        let answer: Value =
            serde_json::from_slice(&body(ask(&pool, "hello").await.unwrap()).await).unwrap();
        let frozen = format!("/proc/{}", answer["pid"]);
        tokio::time::pause();
        let asked = Instant::now();
        let answer = ask(&pool, "freeze").await;
        let (took, refusal) = (asked.elapsed().as_secs(), refusal(answer));
        assert_eq!(took, ANSWER_LIMIT.as_secs(), "{refusal}");
        assert!(refusal.contains("timed out") && refusal.contains("424"), "{refusal}");
        tokio::time::resume();
        ask(&pool, "hello").await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::path::Path::new(&frozen).exists() {
            assert!(Instant::now() < deadline, "the frozen container is still there");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes a container, which is then killed.
    async fn way_to_killed(pool: &Arc<Pool>) -> Way {
        let answer = body(ask(pool, "hello").await.unwrap()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let call = pool.admit().unwrap();
        let running = call.container().await.unwrap();
        let pid = answer["pid"].to_string();
        assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            sleep(Duration::from_millis(1)).await;
        }
        Way { call, running }
    }

    #[tokio::test]
    async fn a_call_whose_container_was_gone_before_it_was_asked_is_answered_by_another() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        let way = way_to_killed(&pool).await;
        let mut outcome = Outcome::default();
        pass_on(way, &no_headers(), Bytes::from("hello"), &mut outcome).await.unwrap();
        let way = way_to_killed(&pool).await;
        let (begun, answer) = tokio::sync::oneshot::channel();
        let request = request(&no_headers(), Bytes::from("stream"));
        super::super::stream::pass_on(way, request, false, begun, &mut outcome).await;
        assert!(answer.await.unwrap().is_ok());
        pool.close();
        pool.closed().await;
    }

    #[tokio::test]
    async fn a_stream_that_a_deletion_cuts_is_no_error_of_the_model() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        let call = pool.admit().unwrap();
        let running = call.container().await.unwrap();
        let (begun, answer) = tokio::sync::oneshot::channel();
        let request = request(&no_headers(), Bytes::from("stream until told"));
        let mut outcome = Outcome::default();
        let way = Way { call, running };
        let streaming = super::super::stream::pass_on(way, request, false, begun, &mut outcome);
        let deletion = async {
            let answer = answer.await.unwrap().unwrap();
            pool.close();
            body(answer).await
        };
        tokio::join!(streaming, deletion);
        assert_eq!(outcome.ending, Ending::Excused);
        pool.closed().await;
    }

    #[tokio::test]
    async fn a_container_that_missed_a_call_but_answers_a_ping_stays() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        let call = pool.admit().unwrap();
        let running = call.container().await.unwrap();
        let connections = running.connections.clone();
        call.doubt(running);
        let next = pool.admit().unwrap();
        assert!(Arc::ptr_eq(&next.container().await.unwrap().connections, &connections));
        pool.close();
        pool.closed().await;
    }

    #[tokio::test]
    async fn a_container_that_breaks_off_but_lives_is_told_at_once() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        pool.admit().unwrap().container().await.unwrap();
        let asked = Instant::now();
        let rude = refusal(ask(&pool, "hang up").await);
        assert!(rude.contains("broke off its answer"), "{rude}");
        assert!(asked.elapsed() < DOUBT_LIMIT / 2, "{:?}", asked.elapsed());
        pool.close();
        pool.closed().await;
    }
}
