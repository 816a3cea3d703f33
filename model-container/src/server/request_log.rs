//! One line a request in the log: failures, and requests that ask for it by custom attributes.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::response::Response;
use crate::problem::Problem;
use crate::telemetry::Trace;

/// What a caller may write into the log with each request; 1,024 ASCII characters at SageMaker.
static CUSTOM_ATTRIBUTES: HeaderName =
    HeaderName::from_static("x-amzn-sagemaker-custom-attributes");
/// Where an answer carries its request's id.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where a caller's own id of the request stands, the first of these that is there.
static IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amzn-sagemaker-inference-id"),
];
/// How long a caller's id may be; a longer one is none.
const MAX_ID_BYTES: usize = 128;
/// How much of the custom attributes is logged.
const MAX_LOGGED_BYTES: usize = 1024;

/// What of a request is worth logging.
pub(super) struct RequestLog {
    /// The caller's id; one of our own once the log or a failure needs one.
    id: Option<HeaderValue>,
    custom_attributes: Option<HeaderValue>,
    trace: Option<Arc<Trace>>,
}

impl RequestLog {
    /// Keeps parts of the request's own buffer, so that a request costs nothing here.
    pub(super) fn begin(headers: &HeaderMap, trace: Option<Arc<Trace>>) -> Self {
        // All that is looked for begins so, and most requests have nothing of it.
        if !headers.keys().any(|name| name.as_str().starts_with("x-")) {
            return Self { id: None, custom_attributes: None, trace };
        }
        let mut ids = IDS.iter().filter_map(|name| headers.get(name));
        Self {
            id: ids.find(|id| is_id(id.as_bytes())).cloned(),
            custom_attributes: headers.get(&CUSTOM_ATTRIBUTES).cloned(),
            trace,
        }
    }

    /// Gives a problem the request's id; a model's failure is logged, a ping while it loads is none.
    pub(super) fn failed(&mut self, path: &'static str, problem: Problem) -> Problem {
        let status = problem.status();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            let (status, detail, trace_id) = (status.as_u16(), problem.detail(), self.trace_id());
            let request_id = self.id();
            tracing::warn!(request_id, trace_id, path, status, detail, "request failed");
        }
        let id = self.id.as_ref().and_then(|id| id.to_str().ok());
        problem.of_request(id)
    }

    /// Logs an answer, where the caller sent custom attributes always, else when asked for it;
    /// and gives the answer the request's id.
    pub(super) fn answered(mut self, path: &'static str, answer: &mut Response, took: Duration) {
        let (status, took_ms) = (answer.status().as_u16(), took.as_secs_f64() * 1000.0);
        if let Some(custom_attributes) = self.custom_attributes.take() {
            let (custom_attributes, trace_id) = (logged(&custom_attributes), self.trace_id());
            let request_id = self.id();
            tracing::info!(
                request_id,
                trace_id,
                path,
                status,
                took_ms,
                custom_attributes,
                "request"
            );
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            let trace_id = self.trace_id();
            let request_id = self.id();
            tracing::debug!(request_id, trace_id, path, status, took_ms, "request");
        }
        if let Some(id) = self.id {
            answer.headers_mut().insert(&REQUEST_ID, id);
        }
    }

    fn id(&mut self) -> &str {
        let id = self.id.get_or_insert_with(own_id);
        id.to_str().expect("ids are visible ASCII characters")
    }

    fn trace_id(&self) -> Option<String> {
        self.trace.as_ref().map(|trace| trace.id())
    }
}

/// Only what every log and every reader takes for one word.
fn is_id(value: &[u8]) -> bool {
    (1..=MAX_ID_BYTES).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// An id that no other container gives, nor this one after a restart.
fn own_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = format!("{:016x}-{}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::try_from(id).expect("digits and a hyphen are a header's value")
}

fn logged(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_LOGGED_BYTES)]).into_owned()
}
