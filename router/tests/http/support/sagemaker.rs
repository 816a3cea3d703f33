//! A stand-in for SageMaker's runtime, whose endpoints score a text by what it says.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// The stand-in. Endpoints behave as they are called; most names mean an ordinary one.
///
/// An ordinary endpoint answers a text such as `spam=0.8 hate=0.1` with those scores and 0 for
/// the other labels. One of which a test has said what it answers answers that.
pub(crate) struct SageMaker {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    /// Endpoint and payload of each call.
    calls: Mutex<Vec<(String, Value)>>,
    /// What endpoints answer, whatever they are sent.
    answers: Mutex<HashMap<String, Bytes>>,
    /// One permit for each call that the endpoint `gate` may answer.
    gate: Semaphore,
    /// The texts that the endpoint `picked` may answer.
    picked: watch::Sender<HashSet<String>>,
}

impl SageMaker {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, answers) = (Mutex::default(), Mutex::default());
        let (gate, picked) = (Semaphore::new(0), watch::Sender::default());
        let shared = Arc::new(Shared { calls, answers, gate, picked });
        let routes = Router::new()
            .route("/endpoints/{name}/invocations", post(invoke))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An endpoint answers this from now on.
    pub(crate) fn say(&self, endpoint: &str, answer: impl Into<Bytes>) {
        self.shared.answers.lock().unwrap().insert(endpoint.to_owned(), answer.into());
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

    /// Lets the endpoint `picked` answer calls with this text.
    pub(crate) fn pick(&self, text: &str) {
        self.shared.picked.send_modify(|picked| {
            picked.insert(text.to_owned());
        });
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
    let text = payload["text"].as_str().unwrap_or_default();
    let before = {
        let mut calls = shared.calls.lock().unwrap();
        let of_this = |(name, _): &&(String, Value)| *name == endpoint;
        let before: Vec<_> = calls.iter().filter(of_this).map(|(_, it)| it.clone()).collect();
        calls.push((endpoint.clone(), payload.clone()));
        before
    };
    let answer = shared.answers.lock().unwrap().get(&endpoint).cloned();
    if let Some(answer) = answer {
        return answer.into_response();
    }
    match endpoint.as_str() {
        "throttling" => error(400, "ThrottlingException", r#"{"message": null}"#),
        "full" => error(424, "ModelError", r#"{"Message": "x", "OriginalStatusCode": 503}"#),
        "crashed" => error(424, "ModelError", r#"{"Message": "x", "OriginalStatusCode": 500}"#),
        "refusing" => error(424, "ModelError", r#"{"Message": "x", "OriginalStatusCode": 422}"#),
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
        "endless" => {
            let piece = Bytes::from(vec![b' '; 1 << 20]);
            let pieces = std::iter::repeat_n(piece, 100).map(Ok::<_, axum::Error>);
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
        "half" => announced(Some(r#"{"scores": {"spam": 0}"#), true),
        "announced" => announced(None, false),
        "long" => ([("content-length", "104857600")], Body::from_stream(drip())).into_response(),
        "drip" => Body::from_stream(drip()).into_response(),
        "head" => [("x-long", "x".repeat(10 << 20))].into_response(),
        "hang" if payload["text"] == "hang" => std::future::pending().await,
        "slow" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            scores(&payload)
        }
        "leisurely" => {
            tokio::time::sleep(Duration::from_secs(3)).await;
            scores(&payload)
        }
        "lossy" if text == "lost" && !before.contains(&payload) => std::future::pending().await,
        "waking" if before.len() < 4 => error(429, "ModelNotReadyException", r#"{"message": "x"}"#),
        "picked" => {
            let mut picked = shared.picked.subscribe();
            picked.wait_for(|picked| picked.contains(text)).await.unwrap();
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

/// An answer of which 1,000 bytes are announced; after this piece it is cut, or nothing comes.
fn announced(piece: Option<&'static str>, is_cut: bool) -> Response {
    let end = async move {
        if is_cut { Err(axum::Error::new("cut")) } else { std::future::pending().await }
    };
    let piece = futures_util::stream::iter(piece.map(|piece| Ok(Bytes::from(piece))));
    let body = Body::from_stream(piece.chain(futures_util::stream::once(end)));
    ([("content-length", "1000")], body).into_response()
}

/// Blanks that come one by one.
fn drip() -> impl Stream<Item = Result<Bytes, axum::Error>> {
    futures_util::stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok(Bytes::from_static(b" ")), ()))
    })
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
    let digest = match scores["digest"].as_f64() {
        Some(digest) => format!("sha256:{}", format!("{digest:02}").repeat(32)),
        None => "sha256:0".to_owned(),
    };
    let model = json!({"name": "stand-in", "version": "7", "digest": digest});
    json!({"label": "spam", "score": scores["spam"], "scores": scores, "model": model})
        .to_string()
        .into_response()
}
