//! One line a request in the log: failures, and requests that ask for it by custom attributes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderMap;

use crate::problem::Problem;

/// What a caller may write into the log with each request; 1,024 ASCII characters at SageMaker.
const CUSTOM_ATTRIBUTES: &str = "x-amzn-sagemaker-custom-attributes";
/// Where a caller's own id of the request stands, the first of these that is there.
const IDS: [&str; 3] = ["x-request-id", "x-amzn-requestid", "x-amzn-sagemaker-inference-id"];
/// How much of a caller's header is logged.
const MAX_LOGGED_BYTES: usize = 1024;

/// What of a request is worth logging.
pub(super) struct RequestLog {
    id: Option<String>,
    custom_attributes: Option<String>,
}

impl RequestLog {
    pub(super) fn begin(headers: &HeaderMap) -> Self {
        let header = |name: &str| {
            let value = headers.get(name)?.as_bytes();
            let logged = &value[..value.len().min(MAX_LOGGED_BYTES)];
            Some(String::from_utf8_lossy(logged).into_owned())
        };
        Self { id: IDS.into_iter().find_map(header), custom_attributes: header(CUSTOM_ATTRIBUTES) }
    }

    /// Logs a model's failure; a ping before the model is loaded is none.
    pub(super) fn failed(&self, path: &'static str, problem: &Problem) {
        let status = problem.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            let (status, detail) = (status.as_u16(), problem.detail());
            tracing::warn!(request_id = self.id(), path, status, detail, "request failed");
        }
    }

    /// Logs an answer: where the caller sent custom attributes always, else when asked for it.
    pub(super) fn answered(&self, path: &'static str, status: StatusCode, took: Duration) {
        let (status, took_ms) = (status.as_u16(), took.as_secs_f64() * 1000.0);
        if let Some(custom_attributes) = &self.custom_attributes {
            tracing::info!(
                request_id = self.id(),
                path,
                status,
                took_ms,
                custom_attributes,
                "request"
            );
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(request_id = self.id(), path, status, took_ms, "request");
        }
    }

    /// The caller's id, or one of our own.
    fn id(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = || COUNT.fetch_add(1, Ordering::Relaxed);
        self.id.clone().unwrap_or_else(|| format!("{}-{}", std::process::id(), count()))
    }
}
