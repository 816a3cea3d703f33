//! Reads a request's body within its limits of size and time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::problem::Problem;

/// How much more is read of a body that is refused for its size.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
/// A client that does not send its body by then gets 408; SageMaker gives up after 60 seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a whole body of at most `limit` bytes of a request that was `started` at that time.
pub(super) async fn read(
    mut body: Incoming,
    limit: usize,
    started: Instant,
    deadline: Instant,
) -> Result<Bytes, Problem> {
    let too_slow = |_| {
        let detail = "the body was not there in time; send it at once";
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    };
    let deadline = deadline.min(started + TIMEOUT);
    timeout_at(deadline, collect(&mut body, limit)).await.unwrap_or_else(too_slow)
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() <= limit as u64 {
        match Limited::new(&mut *body, limit).collect().await {
            Ok(collected) => return Ok(collected.to_bytes()),
            Err(error) if !error.is::<LengthLimitError>() => return Err(broken(&*error)),
            Err(_) => {}
        }
    }
    discard(body).await;
    let detail = format!("the body is larger than {limit} bytes");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}

/// Reads on for a while: a client that is still sending would see a reset instead of the answer.
async fn discard(body: &mut Incoming) {
    let mut left = MAX_DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(length);
        if left == 0 {
            return;
        }
    }
}

fn broken(error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("the body can't be read: {error}"))
}
