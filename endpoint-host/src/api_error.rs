//! Refusals in SageMaker's own shape, which its clients turn into their error classes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sqlx::error::DatabaseError;

use crate::region::{Kind, Region};

/// SQLite's code for a disk without room, as sqlx writes it.
const SQLITE_FULL: &str = "13";

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
        let message = format!(
            "operation `{operation}` is not known to this endpoint host, which has Create, \
             Describe, Delete and List for Model, EndpointConfig and Endpoint, UpdateEndpoint, \
             UpdateEndpointWeightsAndCapacities, AddTags, ListTags and DeleteTags"
        );
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

    /// More requests of the control plane at once than the host has memory for.
    pub(crate) fn rate_exceeded() -> Self {
        Self::control("ThrottlingException", "Rate exceeded: too many requests at once; try again")
    }

    /// A request that was addressed to another host.
    pub(crate) fn foreign_host() -> Self {
        let message = "address the endpoint host as localhost, 127.0.0.1 or [::1]; without an \
                       access key it serves this machine alone";
        Self::denied("AccessDeniedException", message)
    }

    /// A request without a signature where one is demanded.
    pub(crate) fn unsigned() -> Self {
        let message = "the request is not signed; sign it (SigV4) with an access key of this host";
        Self::denied("MissingAuthenticationTokenException", message)
    }

    /// A signature with a key that this host does not have.
    pub(crate) fn unknown_key() -> Self {
        let message = "the access key id is not one of this host's; see its --access-key";
        Self::denied("UnrecognizedClientException", message)
    }

    /// A signature that is wrong or too old.
    pub(crate) fn bad_signature(why: &str) -> Self {
        Self::denied("InvalidSignatureException", why)
    }

    fn denied(code: &'static str, message: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::control(code, message) }
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
        Self::runtime(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    /// More calls in flight than the endpoint's `MaxConcurrency`; AWS sends a null message.
    pub(crate) fn throttled() -> Self {
        let body = json!({"message": null});
        Self { status: StatusCode::BAD_REQUEST, code: "ThrottlingException", body }
    }

    /// A call for which no container was ready in time.
    pub(crate) fn model_not_ready() -> Self {
        let message = "no container was ready for the call in time; wait and try again";
        Self::runtime(StatusCode::TOO_MANY_REQUESTS, "ModelNotReadyException", message)
    }

    /// A call that the model's container failed.
    pub(crate) fn model(body: Value) -> Self {
        Self { status: StatusCode::FAILED_DEPENDENCY, code: "ModelError", body }
    }

    /// A call that comes while the host stops.
    pub(crate) fn unavailable() -> Self {
        let message = "the endpoint host is stopping; try again once it is back";
        Self::runtime(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// More calls at once than the host has memory for.
    pub(crate) fn no_room() -> Self {
        let message = "the bodies of other calls take all the memory that the endpoint host has \
                       for them; try again, or start it with more --call-memory";
        Self::runtime(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// A call that the host itself failed; the cause is logged here, once.
    pub(crate) fn internal(cause: &str) -> Self {
        tracing::error!("a call failed: {cause}");
        let message = "the endpoint host failed; see its log";
        Self::runtime(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", message)
    }

    /// A failure of the host's own, such as a full disk; the cause is logged here, once.
    pub(crate) fn store(error: &sqlx::Error) -> Self {
        tracing::error!(%error, "the database does not answer as it should");
        let message = match error.as_database_error().and_then(DatabaseError::code) {
            Some(code) if code == SQLITE_FULL => {
                "the endpoint host can't write to its database: the disk is full; nothing was \
                 changed, so free some space and try again"
            }
            _ => "the endpoint host can't write to its database; see its log",
        };
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, ..Self::control("InternalFailure", message) }
    }

    fn runtime(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, body: json!({"Message": message.into()}) }
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
