//! Calls models that are no endpoints of SageMaker's.

use axum::http::StatusCode;
use bytes::Bytes;

use super::failure::Failure;
use super::reader::MAX_ANSWER_BYTES;
use crate::outbound::{Fault, HttpClient, OutboundUrl};

/// Posts the payload; what comes back is read as SageMaker's answers are.
pub(super) async fn invoke(
    client: &HttpClient,
    url: &OutboundUrl,
    payload: Bytes,
) -> Result<Bytes, Failure> {
    let answer = client.post_json(url, payload, MAX_ANSWER_BYTES).await;
    let (status, body) = answer.map_err(|fault| match fault {
        Fault::TooLarge => Failure::too_large(),
        Fault::Unreached(cause) => Failure::broken(cause),
        Fault::Broken(cause) => Failure::broke_off(cause),
    })?;
    let cause = || format!("status {status}");
    match status {
        _ if status.is_success() => Ok(body),
        _ if status.is_redirection() => {
            Err(Failure::endpoint(format!("status {status}; redirects are not followed")))
        }
        // What stands between has lost the container, perhaps over this payload,
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Err(Failure::broke_off(cause())),
        // or lets nobody in: the container was not asked.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED => Err(Failure::endpoint(cause())),
        _ => Err(Failure::of_container(status.as_u16(), cause())),
    }
}
