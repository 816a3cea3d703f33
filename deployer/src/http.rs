//! One HTTP call with JSON both ways, and how a refusal reads.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
pub use hyper::{Method, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::Error;

/// An endpoint may need a while for its first answer; AWS gives up after a minute too.
const TIMEOUT: Duration = Duration::from_secs(70);
/// No answer of these APIs is larger.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// A keep-alive client.
#[derive(Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The entity tag, where there is one.
    pub etag: Option<String>,
    /// The body, as a string where it is no JSON.
    pub body: Value,
}

/// What to send.
#[derive(Debug)]
pub struct Call<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers by name and value.
    pub headers: &'a [(&'static str, &'a str)],
    /// The body, where there is one.
    pub body: Option<&'a Value>,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// A client without connections yet.
    pub fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends a call; any status is an answer.
    ///
    /// # Errors
    /// When the server can't be reached, or does not answer in full within a minute.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Error> {
        let url = call.url.clone();
        let unreachable = |reason: String| Error::Unreachable { url: url.clone(), reason };
        match tokio::time::timeout(TIMEOUT, self.exchange(call)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(unreachable(reason)),
            Err(_) => Err(unreachable(format!("no answer within {TIMEOUT:?}"))),
        }
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Answer, String> {
        let mut request = Request::builder().method(call.method).uri(call.url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let body = call.body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| in_full(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let etag = head.headers.get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok(Answer { status: head.status, etag, body })
    }
}

impl Answer {
    /// The body of a success; anything else is a refusal of `action`.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's own words.
    pub fn success(self, action: &str) -> Result<Value, Error> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        Err(Error::Refused {
            action: action.to_owned(),
            code: format!("status {}", self.status.as_u16()),
            reason: self.reason(),
        })
    }

    /// The sentence in an error of SageMaker's, a problem document, or anything else.
    pub fn reason(&self) -> String {
        let sentence = ["detail", "Message", "message"]
            .into_iter()
            .find_map(|key| self.body.get(key).and_then(Value::as_str));
        sentence.map_or_else(|| self.body.to_string(), str::to_owned)
    }
}

/// An error with its causes: hyper's own text alone is "client error (Connect)".
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
