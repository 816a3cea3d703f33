//! Reads bodies up to a limit, and never leaves a caller with a cut connection for an answer.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};

/// The largest body of a serverless call and of its answer:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
pub(crate) const INVOCATION_BYTES: usize = 4 * 1024 * 1024;

/// Beyond this a caller who ignores the limit is cut off.
const DRAIN_BYTES: usize = 64 * 1024 * 1024;

/// How long a caller may take to send a body.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It broke off or took too long.
    Broken,
}

/// The whole body, at most `limit` bytes of it.
pub(crate) async fn read(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let collected = tokio::time::timeout(PATIENCE, Limited::new(&mut body, limit).collect()).await;
    match collected {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            discard(body).await;
            Err(BodyError::TooLong)
        }
        Ok(Err(_)) | Err(_) => Err(BodyError::Broken),
    }
}

/// Takes what still comes: many clients read an answer only after they have sent everything.
pub(crate) async fn discard(body: Body) {
    tokio::time::timeout(PATIENCE, drain(body)).await.ok();
}

async fn drain(mut body: Body) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken > DRAIN_BYTES {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read_and_one_more_byte_is_refused() {
        assert_eq!(read(Body::from("12345"), 5).await.unwrap(), "12345");
        assert!(matches!(read(Body::from("123456"), 5).await, Err(BodyError::TooLong)));
    }
}
