//! Calls models that are no endpoints of SageMaker's.

use aws_sdk_sagemakerruntime::primitives::Blob;
use axum::http::StatusCode;
use bytes::Bytes;

use super::call::Status;
use super::failure::Failure;
use super::response_limit::MAX_ANSWER_BYTES;
use crate::outbound::{HttpClient, OutboundUrl};

/// Posts the payload; what comes back is read as SageMaker's answers are.
pub(super) async fn invoke(
    client: &HttpClient,
    url: &OutboundUrl,
    payload: Bytes,
) -> Result<Blob, Failure> {
    let answer = client.post_json(url.uri(), payload, MAX_ANSWER_BYTES).await;
    let (status, body) = answer.map_err(Failure::failed)?;
    match status {
        _ if status.is_success() => Ok(Blob::new(body)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(Failure { status: Status::Throttled, cause: format!("status {status}") })
        }
        _ if status.is_redirection() => {
            Err(Failure::failed(format!("status {status}; redirects are not followed")))
        }
        _ => Err(Failure::failed(format!("status {status}"))),
    }
}
