//! Sends spans to the collector; one that is away costs spans, never verdicts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use opentelemetry_http::{HttpClient as Sender, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::settings;
use crate::outbound::{Guard, HttpClient};

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
    client: HttpClient,
    /// The batch processor's own thread can neither wait for sockets nor for time.
    runtime: Handle,
    timeout: Duration,
    last_logged: Mutex<Option<Instant>>,
}

impl Collector {
    fn new(timeout: Duration) -> Self {
        // The operator, unlike who registers models, may mean any address.
        let client = HttpClient::new(Guard::permissive());
        Self { client, runtime: Handle::current(), timeout, last_logged: Mutex::default() }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, limit) = (self.client.clone(), self.timeout);
        let exchange = async move { client.send(request, MAX_ANSWER_BYTES).await };
        let sent = self.runtime.spawn(async move { timeout(limit, exchange).await });
        Ok(sent.await???)
    }

    fn log(&self, fault: &str) {
        let mut last = self.last_logged.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            *last = Some(Instant::now());
            tracing::warn!(fault, "the collector takes no spans; verdicts go on without");
        }
    }
}

#[async_trait]
impl Sender for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request).await;
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.log(&format!("it answers {}", answer.status())),
            Err(error) => self.log(&error.to_string()),
        }
        answer
    }
}
