//! Sorts the ways in which a call can fail.

use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;

use super::call::Status;
use crate::error::chain;

/// A failed call: its status for the caller, its cause for the log.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the verdict says.
    pub(crate) status: Status,
    /// What happened, without any of the content.
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn timeout(cause: &str) -> Self {
        Self { status: Status::Timeout, cause: cause.to_owned() }
    }

    pub(crate) fn failed(cause: impl Into<String>) -> Self {
        Self { status: Status::Failed, cause: cause.into() }
    }

    /// The failure behind an error of the SDK.
    ///
    /// Messages from behind the endpoint are left out, since they may quote the content.
    pub(crate) fn of(error: &SdkError<InvokeEndpointError>) -> Self {
        match error {
            SdkError::TimeoutError(_) => Self::timeout("connection timed out"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::timeout("connection timed out")
            }
            SdkError::DispatchFailure(failure) => {
                let connector = failure.as_connector_error();
                Self::failed(connector.map_or_else(|| "no connection".to_owned(), |e| chain(e)))
            }
            SdkError::ServiceError(answer) => {
                of_service(answer.err(), answer.raw().status().as_u16())
            }
            SdkError::ResponseError(_) => Self::failed("the answer broke off or is too large"),
            _ => Self::failed("the call could not be built; check region and credentials"),
        }
    }
}

/// Throttling comes as status 400 with a code in a header, as 429 or 503 of the runtime, or as one
/// of those from the container behind.
fn of_service(error: &InvokeEndpointError, status: u16) -> Failure {
    let code = error.code().unwrap_or("no code");
    let original = match error {
        InvokeEndpointError::ModelError(model) => model.original_status_code(),
        _ => None,
    };
    let cause = match original {
        Some(original) => format!("{code}, the container answered with status {original}"),
        None => format!("{code}, status {status}"),
    };
    let is_busy = |status: i32| matches!(status, 429 | 503);
    let throttled =
        code == "ThrottlingException" || is_busy(status.into()) || original.is_some_and(is_busy);
    let status = if throttled { Status::Throttled } else { Status::Failed };
    Failure { status, cause }
}
