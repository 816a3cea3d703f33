//! What a caller is told when the model's container failed the call: SageMaker's `ModelError`.

use hyper::StatusCode;
use serde_json::json;

use crate::api_error::ApiError;
use crate::region::Region;

/// So much of a container's answer is repeated inside the message; all of it follows beside.
const QUOTED_CHARS: usize = 1024;

/// A failed call.
#[derive(Debug)]
pub(crate) struct ModelError {
    /// The container's status; 0 when it gave none.
    status: u16,
    /// What the container answered, or why it did not.
    message: String,
}

impl ModelError {
    /// The container answered with an error.
    pub(crate) fn answered(status: StatusCode, body: &[u8]) -> Self {
        Self { status: status.as_u16(), message: String::from_utf8_lossy(body).into_owned() }
    }

    /// The container gave no answer.
    pub(crate) fn silent(message: impl Into<String>) -> Self {
        Self { status: 0, message: message.into() }
    }

    /// The answer to the caller.
    pub(crate) fn of(self, region: &Region, endpoint: &str) -> ApiError {
        let client = (400..500).contains(&self.status);
        let side = if client { "client" } else { "server" };
        let code = if client { "CLIENT_ERROR_FROM_MODEL" } else { "INTERNAL_FAILURE_FROM_MODEL" };
        let quoted: String = self.message.chars().take(QUOTED_CHARS).collect();
        let message = format!(
            "Received {side} error ({}) from primary with message \"{quoted}\". \
             See the endpoint host's log, endpoint {endpoint}, for more information.",
            self.status
        );
        ApiError::model(json!({
            "ErrorCode": code,
            "LogStreamArn": region.log_arn(endpoint),
            "Message": message,
            "OriginalMessage": self.message,
            "OriginalStatusCode": self.status,
        }))
    }
}
