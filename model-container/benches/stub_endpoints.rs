//! Endpoints that play models, well or badly: what a router is measured against.
//!
//! `stub_endpoints ADDRESS BEHAVIOUR` says where it listens. It takes calls of SageMaker's runtime
//! (`POST /endpoints/NAME/invocations`) and plain ones (`POST /plain/NAME`), and gives the label `bad`
//! a score that follows from the name and the body alone. Every endpoint behaves as said, until a
//! `PUT /endpoints/NAME` has another behaviour for it. `GET /calls` is how many calls came.
//!
//! `prompt` answers at once, `healthy` after 2 to 10 ms, `hanging` never; `flaky` fails half of the
//! calls, in different ways; `throttling` refuses three of four; `cold` sleeps after some seconds, and
//! lets the calls that come then wait for up to three. A body with `poison-NNN` in it breaks any of
//! the models, which answers with that status.

use std::collections::HashMap;
use std::env::args;
use std::future::pending;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

const ERROR_TYPE: &str = "x-amzn-errortype";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: stub_endpoints ADDRESS BEHAVIOUR";
    let address = args().nth(1).context(usage)?;
    let default = args().nth(2).context(usage)?;
    let default = Behaviour::parse(&default).context(usage)?;
    let listener = TcpListener::bind(&address).await.context(address)?;
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let stub = Arc::new(Stub { default, endpoints: Mutex::default(), calls: AtomicU64::new(0) });
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, Arc::clone(&stub)));
    }
}

async fn connection(stream: TcpStream, stub: Arc<Stub>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let stub = Arc::clone(&stub);
        async move { stub.respond(request).await }
    });
    // An idle connection stays open: its caller must be able to rely on it.
    let mut server = Builder::new();
    let _ = server.header_read_timeout(None).serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Prompt,
    Healthy,
    Hanging,
    Flaky,
    Throttling,
    Cold,
}

impl Behaviour {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "prompt" => Self::Prompt,
            "healthy" => Self::Healthy,
            "hanging" => Self::Hanging,
            "flaky" => Self::Flaky,
            "throttling" => Self::Throttling,
            "cold" => Self::Cold,
            _ => return None,
        })
    }
}

/// How a call is asked, and so how it fails.
#[derive(Clone, Copy)]
enum Way {
    Runtime,
    Plain,
}

struct Stub {
    default: Behaviour,
    endpoints: Mutex<HashMap<String, Endpoint>>,
    calls: AtomicU64,
}

impl Stub {
    /// An error closes the connection without an answer.
    async fn respond(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let path: Vec<_> = head.uri.path().split('/').skip(1).collect();
        match (&head.method, &path[..]) {
            (&Method::POST, ["endpoints", name, "invocations"]) => {
                self.call(Way::Runtime, name, &body).await
            }
            (&Method::POST, ["plain", name]) => self.call(Way::Plain, name, &body).await,
            (&Method::PUT, ["endpoints", name]) => Ok(self.behave(name, &body)),
            (&Method::GET, ["calls"]) => Ok(answer(self.calls.load(Relaxed).to_string())),
            _ => Ok(with_status(StatusCode::NOT_FOUND, answer("no such path"))),
        }
    }

    fn behave(&self, name: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let Some(behaviour) = str::from_utf8(body).ok().and_then(Behaviour::parse) else {
            return with_status(StatusCode::BAD_REQUEST, answer("no such behaviour"));
        };
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        endpoints.insert(name.to_owned(), Endpoint::new(behaviour));
        answer("")
    }

    async fn call(&self, way: Way, name: &str, body: &[u8]) -> io::Result<Response<Full<Bytes>>> {
        self.calls.fetch_add(1, Relaxed);
        let course = self.course(name);
        if let Course::Never = course {
            pending::<()>().await;
        }
        if let Course::After(wait) = course
            && wait > Duration::ZERO
        {
            sleep(wait).await;
        }
        match (course, poison(body)) {
            (Course::Fault(fault), _) => fault.answer(way),
            (_, Some(status)) => Fault::Model(status).answer(way),
            _ => Ok(answer(prediction(name, body))),
        }
    }

    fn course(&self, name: &str) -> Course {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        match endpoints.get_mut(name) {
            Some(endpoint) => endpoint.course(name),
            None => endpoints
                .entry(name.to_owned())
                .or_insert_with(|| Endpoint::new(self.default))
                .course(name),
        }
    }
}

struct Endpoint {
    behaviour: Behaviour,
    calls: u64,
    /// When it woke up, or will have, and when it sleeps again.
    wakes: Instant,
    sleeps: Instant,
}

/// What becomes of a call.
#[derive(Clone, Copy)]
enum Course {
    After(Duration),
    Never,
    Fault(Fault),
}

impl Endpoint {
    fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, calls: 0, wakes: Instant::now(), sleeps: Instant::now() }
    }

    fn course(&mut self, name: &str) -> Course {
        self.calls += 1;
        if self.behaviour == Behaviour::Prompt {
            return Course::After(Duration::ZERO);
        }
        let draw = hash(&[name.as_bytes(), &self.calls.to_le_bytes()]);
        let takes = between(2, 10, draw >> 8);
        match self.behaviour {
            Behaviour::Prompt | Behaviour::Healthy => Course::After(takes),
            Behaviour::Hanging => Course::Never,
            Behaviour::Flaky if draw.is_multiple_of(2) => {
                Course::Fault(FLAKY[(draw >> 1) as usize % 4])
            }
            Behaviour::Throttling if !self.calls.is_multiple_of(4) => {
                Course::Fault(Fault::Throttled)
            }
            Behaviour::Flaky | Behaviour::Throttling => Course::After(takes),
            Behaviour::Cold => Course::After(self.wake(draw) + takes),
        }
    }

    /// How long a call waits until it is up.
    fn wake(&mut self, draw: u64) -> Duration {
        let now = Instant::now();
        if now >= self.sleeps {
            self.wakes = now + between(1_000, 3_000, draw);
            self.sleeps = self.wakes + between(2_000, 5_000, draw >> 20);
        }
        self.wakes.saturating_duration_since(now)
    }
}

fn between(least_ms: u64, most_ms: u64, draw: u64) -> Duration {
    Duration::from_micros(least_ms * 1_000 + draw % ((most_ms - least_ms) * 1_000))
}

#[derive(Clone, Copy)]
enum Fault {
    /// The model's own, with the status that it answers with.
    Model(u16),
    /// The platform's.
    Internal,
    /// A page where an answer should be.
    Page,
    /// The connection ends without an answer.
    Cut,
    Throttled,
}

const FLAKY: [Fault; 4] = [Fault::Internal, Fault::Model(500), Fault::Page, Fault::Cut];

impl Fault {
    fn answer(self, way: Way) -> io::Result<Response<Full<Bytes>>> {
        let (status, code, body) = match self {
            Self::Cut => return Err(io::Error::other("cut")),
            Self::Page => return Ok(answer("<html><body>It works!</body></html>")),
            Self::Internal => (500, "InternalFailure", json!({"message": "it failed"})),
            // AWS sends exactly this.
            Self::Throttled => (400, "ThrottlingException", json!({"message": null})),
            Self::Model(status) => (424, "ModelError", model_error(status)),
        };
        let status = match (way, self) {
            (Way::Plain, Self::Model(original)) => original,
            (Way::Plain, Self::Throttled) => 429,
            _ => status,
        };
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        let mut response = with_status(status, answer(body.to_string()));
        if let Way::Runtime = way {
            response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(code));
        }
        Ok(response)
    }
}

fn model_error(status: u16) -> serde_json::Value {
    json!({
        "ErrorCode": if status < 500 { "CLIENT_ERROR_FROM_MODEL" } else { "INTERNAL_FAILURE_FROM_MODEL" },
        "LogStreamArn": "arn:aws:logs:eu-west-1:000000000000:log-group:/aws/sagemaker/Endpoints/stub",
        "Message": format!("Received error ({status}) from primary"),
        "OriginalMessage": "it failed",
        "OriginalStatusCode": status,
    })
}

/// The status in `poison-NNN`.
fn poison(body: &[u8]) -> Option<u16> {
    let (_, rest) = str::from_utf8(body).ok()?.split_once("poison-")?;
    rest.get(..3)?.parse().ok()
}

fn prediction(name: &str, body: &[u8]) -> String {
    let bad = (hash(&[name.as_bytes(), body]) % 1_000_001) as f64 / 1e6;
    let good = 1.0 - bad;
    let (label, score) = if bad > good { ("bad", bad) } else { ("good", good) };
    format!(
        r#"{{"label":"{label}","score":{score},"scores":{{"bad":{bad},"good":{good}}},"model":{{"name":"{name}","version":"1"}}}}"#
    )
}

/// FNV-1a, then spread over all bits as SplitMix64 does.
fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().copied().flatten();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn answer(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn with_status(status: StatusCode, mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    *response.status_mut() = status;
    response
}
