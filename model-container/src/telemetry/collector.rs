//! Sends spans to the collector over plain HTTP; one that is away costs spans, never requests.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;

use super::settings;

/// What OpenTelemetry's specification says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of the collector's answer is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// A collector that stays away is told of this often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What the batch processor's thread sends spans with, as the `OTEL_…` variables say.
pub(super) fn exporter() -> Result<SpanExporter, String> {
    let timeout = settings::timeout_ms().map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(timeout)
        .with_http_client(Collector::new(timeout));
    exporter.build().map_err(|error| error.to_string())
}

/// The connection to the collector.
#[derive(Debug)]
struct Collector {
    client: Client<HttpConnector, Full<Bytes>>,
    /// The batch processor's own thread can neither wait for sockets nor for time.
    runtime: Handle,
    timeout: Duration,
    last_logged: Mutex<Option<Instant>>,
}

impl Collector {
    fn new(timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, runtime: Handle::current(), timeout, last_logged: Mutex::default() }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, timeout) = (self.client.clone(), self.timeout);
        let exchange = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        self.runtime.spawn(async move { tokio::time::timeout(timeout, exchange).await? }).await?
    }

    fn log(&self, fault: &str) {
        let mut last = self.last_logged.lock().expect("nothing panics while it holds this");
        if last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            *last = Some(Instant::now());
            tracing::warn!(fault, "the collector takes no spans; requests go on without");
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request).await;
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.log(&format!("it answers {}", answer.status())),
            Err(error) => self.log(&chain(&**error)),
        }
        answer
    }
}

/// An error with its causes: hyper's own sentence only says that connecting failed.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
