//! Refusals in SageMaker's own shape, which its clients turn into their error classes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::region::{Kind, Region};

/// One refusal. Clients of the control plane read its code from the body, clients of the
/// runtime from a header, so it is sent in both places.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// The HTTP status.
    status: StatusCode,
    /// AWS's name for it.
    code: &'static str,
    /// The whole body.
    body: Value,
}

impl ApiError {
    /// The control plane's answer to a request that it understands and refuses.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::control("ValidationException", message)
    }

    /// The control plane's answer to a body that it cannot read.
    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::control("SerializationException", message)
    }

    /// The control plane's answer to an operation that it does not have.
    pub(crate) fn unknown_operation(operation: &str) -> Self {
        let message = format!("operation `{operation}` is not known to this endpoint host");
        Self::control("UnknownOperationException", message)
    }

    /// A path or method that neither API has.
    pub(crate) fn unknown_path() -> Self {
        let message = "use POST / or POST /endpoints/NAME/invocations";
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::control("UnknownOperationException", message)
        }
    }

    /// A request that was addressed to another host.
    pub(crate) fn foreign_host() -> Self {
        let message = "address the endpoint host as localhost, 127.0.0.1 or [::1]; signatures are \
                       not checked yet, so it serves this machine alone";
        Self { status: StatusCode::FORBIDDEN, ..Self::control("AccessDeniedException", message) }
    }

    /// A resource that a request names and that does not exist.
    pub(crate) fn not_found(region: &Region, kind: Kind, name: &str) -> Self {
        let arn = region.arn(kind, name);
        Self::validation(format!("Could not find {} \"{arn}\".", kind.words()))
    }

    /// A name that is taken.
    pub(crate) fn already_exists(kind: Kind, arn: &str) -> Self {
        Self::validation(format!("Cannot create already existing {} \"{arn}\".", kind.words()))
    }

    /// The runtime's answer to a request that it refuses.
    pub(crate) fn invocation(message: impl Into<String>) -> Self {
        let body = json!({"Message": message.into()});
        Self { status: StatusCode::BAD_REQUEST, code: "ValidationError", body }
    }

    /// More calls in flight than the endpoint's `MaxConcurrency`; AWS sends a null message.
    pub(crate) fn throttled() -> Self {
        let body = json!({"message": null});
        Self { status: StatusCode::BAD_REQUEST, code: "ThrottlingException", body }
    }

    /// A call that the model's container failed.
    pub(crate) fn model(body: Value) -> Self {
        Self { status: StatusCode::FAILED_DEPENDENCY, code: "ModelError", body }
    }

    fn control(code: &'static str, message: impl Into<String>) -> Self {
        let body = json!({"__type": code, "message": message.into()});
        Self { status: StatusCode::BAD_REQUEST, code, body }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let control = self.body.get("__type").is_some();
        let kind = if control { "application/x-amz-json-1.1" } else { "application/json" };
        let mut response = Response::new(Body::from(self.body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let code = HeaderValue::from_static(self.code);
        headers.insert(HeaderName::from_static("x-amzn-errortype"), code);
        response
    }
}
