//! Errors on the wire: `application/problem+json`.

use hyper::StatusCode;
use serde::Serialize;

use crate::Error;

/// A problem document of RFC 9457.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// A problem of the HTTP request itself.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::BAD_REQUEST => "/problems/malformed",
            StatusCode::NOT_FOUND => "/problems/not-found",
            StatusCode::NOT_ACCEPTABLE => "/problems/not-acceptable",
            StatusCode::METHOD_NOT_ALLOWED => "/problems/method-not-allowed",
            StatusCode::REQUEST_TIMEOUT => "/problems/too-slow",
            StatusCode::PAYLOAD_TOO_LARGE => "/problems/too-large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "/problems/unsupported-content-type",
            StatusCode::UNPROCESSABLE_ENTITY => "/problems/unscorable",
            StatusCode::SERVICE_UNAVAILABLE => "/problems/not-ready",
            _ => "/problems/model-failed",
        };
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind, title, status: status.as_u16(), detail: detail.into(), request_id: None }
    }

    /// The same with the place in the request that it is about.
    pub(crate) fn within(self, place: &str) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }

    /// The same with the id that the log knows the request by.
    pub(crate) fn of_request(self, id: Option<&str>) -> Self {
        Self { request_id: id.map(str::to_owned), ..self }
    }

    /// What is wrong with this very request.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The HTTP status that it is answered with.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Unscorable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Overloaded(_) | Error::Down(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
