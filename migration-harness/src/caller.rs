//! Sends one captured request to its target and reads the whole answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Uri;
use hyper::header::CONTENT_TYPE;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::record;

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Captured headers that belong to the connection of then, or are sent by other means.
const NOT_SENT: [&str; 5] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding"];

/// A request that is ready to be sent.
pub(crate) type Request = hyper::Request<Full<Bytes>>;

/// What a target answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The `Content-Type` header, where there is one.
    pub(crate) content_type: Option<String>,
    /// The whole body.
    pub(crate) body: Bytes,
}

/// Keeps connections to targets.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl Caller {
    /// A call that takes longer than `timeout` has failed.
    pub(crate) fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), timeout }
    }

    /// The answer, or why there is none.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer, String> {
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {}", humantime::format_duration(self.timeout))),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Answer, String> {
        let response = self.client.request(request).await.map_err(|error| reason(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| reason(error.as_ref()))?.to_bytes();
        let content_type = head.headers.get(CONTENT_TYPE);
        let content_type = content_type.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        Ok(Answer { status: head.status.as_u16(), content_type, body })
    }
}

/// The captured request, for another address.
///
/// # Errors
/// When the method or a header can't be sent.
pub(crate) fn request(url: Uri, captured: &record::Request) -> Result<Request, String> {
    let mut request = hyper::Request::builder().method(captured.method.as_str()).uri(url);
    for (name, value) in &captured.headers {
        if !NOT_SENT.contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    if let Some(content_type) = &captured.content_type {
        request = request.header(CONTENT_TYPE, content_type);
    }
    let body = Full::new(captured.body.0.clone());
    request.body(body).map_err(|error| format!("the request can't be sent: {error}"))
}

/// The error with its causes, as HTTP clients hide the telling one inside.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
