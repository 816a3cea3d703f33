//! A stand-in for SageMaker's runtime, whose endpoints score a text by what it says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// The stand-in. Endpoints behave as they are called; most names mean an ordinary one.
///
/// An ordinary endpoint answers a text such as `spam=0.8 hate=0.1` with those scores and 0 for
/// the other labels.
pub(crate) struct SageMaker {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    /// Endpoint and payload of each call.
    calls: Mutex<Vec<(String, Value)>>,
    /// One permit for each call that the endpoint `gate` may answer.
    gate: Semaphore,
}

impl SageMaker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { calls: Mutex::default(), gate: Semaphore::new(0) });
        let routes = Router::new()
            .route("/endpoints/{name}/invocations", post(invoke))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The payloads that an endpoint has been sent.
    pub(crate) fn payloads(&self, endpoint: &str) -> Vec<Value> {
        let calls = self.shared.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| name == endpoint).map(|(_, body)| body.clone()).collect()
    }

    /// Waits until an endpoint has been sent this many payloads.
    pub(crate) async fn reached(&self, endpoint: &str, calls: usize) {
        let reaching = async {
            while self.payloads(endpoint).len() < calls {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reaching).await.unwrap();
    }

    /// Lets the endpoint `gate` answer this many calls.
    pub(crate) fn open_gate(&self, calls: usize) {
        self.shared.gate.add_permits(calls);
    }
}

impl Drop for SageMaker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn invoke(
    State(shared): State<Arc<Shared>>,
    Path(endpoint): Path<String>,
    body: String,
) -> Response {
    let payload: Value = serde_json::from_str(&body).unwrap();
    shared.calls.lock().unwrap().push((endpoint.clone(), payload.clone()));
    match endpoint.as_str() {
        "throttling" => error(400, "ThrottlingException", r#"{"message": null}"#),
        "full" => error(424, "ModelError", r#"{"Message": "x", "OriginalStatusCode": 503}"#),
        "crashed" => error(424, "ModelError", r#"{"Message": "x", "OriginalStatusCode": 500}"#),
        "cold" => error(429, "ModelNotReadyException", r#"{"message": "x"}"#),
        "unavailable" => error(503, "ServiceUnavailable", r#"{"message": "x"}"#),
        "cut" => cut(),
        "moved" => {
            let location = [("location", "/endpoints/spam/invocations")];
            (StatusCode::TEMPORARY_REDIRECT, location).into_response()
        }
        "list" => r#"[{"spam": 0.8}]"#.into_response(),
        "twice" => r#"{"scores": {"spam": 0.1, "spam": 0.8}}"#.into_response(),
        "hanging" => std::future::pending().await,
        "html" => "<html>Bad gateway</html>".into_response(),
        "nan" => r#"{"scores": {"spam": NaN}}"#.into_response(),
        "two" => r#"{"scores": {"spam": 2}}"#.into_response(),
        "huge" => format!(r#"{{"scores": {{"spam": 1}}, "x": "{}"}}"#, "x".repeat(2 << 20))
            .into_response(),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            scores(&payload)
        }
        "gate" => {
            shared.gate.acquire().await.unwrap().forget();
            scores(&payload)
        }
        _ => scores(&payload),
    }
}

/// An answer whose connection is cut in the middle.
fn cut() -> Response {
    let chunks = [Ok(r#"{"scores": {"spam": 0.8}"#), Err(axum::Error::new("cut"))];
    Body::from_stream(futures_util::stream::iter(chunks)).into_response()
}

fn error(status: u16, code: &str, body: &'static str) -> Response {
    let headers = [("x-amzn-errortype", code), ("content-type", "application/json")];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

fn scores(payload: &Value) -> Response {
    let mut scores = json!({"spam": 0.0, "hate": 0.0, "alcohol": 0.0});
    for word in payload["text"].as_str().unwrap_or_default().split_whitespace() {
        if let Some((label, score)) = word.split_once('=') {
            scores[label] = score.parse().unwrap();
        }
    }
    let model = json!({"name": "stand-in", "version": "7", "digest": "sha256:0"});
    json!({"label": "spam", "score": scores["spam"], "scores": scores, "model": model})
        .to_string()
        .into_response()
}
