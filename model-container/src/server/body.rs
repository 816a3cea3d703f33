//! Reads a request's body within its limits of size and time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::problem::Problem;

/// How much more is read of a body that is refused for its size.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
/// A client that does not send its body by then gets 408; SageMaker gives up after 60 seconds.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a body is read before it needs room among the [`MAX_BYTES_AT_ONCE`].
const SMALL_BYTES: usize = 64 << 10;
/// How much all large bodies may take together.
const MAX_BYTES_AT_ONCE: usize = 256 << 20;

/// Reads the bodies of one container's requests.
pub(super) struct Bodies {
    limit: usize,
    /// A permit for each KiB that large bodies may take.
    room: Arc<Semaphore>,
}

/// A whole body, with the room that it takes.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies may have `limit` bytes each.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, room: Arc::new(Semaphore::new(MAX_BYTES_AT_ONCE >> 10)) }
    }

    /// Reads the body of a request that was `started` at that time.
    pub(super) async fn read(
        &self,
        mut body: Incoming,
        started: Instant,
        deadline: Instant,
    ) -> Result<WholeBody, Problem> {
        let too_slow = |_| {
            let detail = "the body was not there in time; send it at once";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
        };
        let deadline = deadline.min(started + TIMEOUT);
        timeout_at(deadline, self.collect(&mut body)).await.unwrap_or_else(too_slow)
    }

    async fn collect(&self, body: &mut Incoming) -> Result<WholeBody, Problem> {
        if body.size_hint().lower() > self.limit as u64 {
            return Err(self.too_large(body).await);
        }
        // One of unknown size may become as large as any.
        let size = body.size_hint().exact().map_or(self.limit, |size| size as usize);
        let mut room = None;
        let mut chunks = Vec::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame.map_err(|error| broken(&error))?.into_data() else {
                continue;
            };
            length += chunk.len();
            if length > self.limit {
                return Err(self.too_large(body).await);
            }
            if room.is_none() && length > SMALL_BYTES {
                room = Some(self.reserve(size)?);
            }
            chunks.push(chunk);
        }
        Ok(WholeBody { bytes: joined(chunks), _room: room })
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| {
            let detail = "the container is full: too many large bodies are being read at once";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        })
    }

    async fn too_large(&self, body: &mut Incoming) -> Problem {
        discard(body).await;
        let detail = format!("the body is larger than {} bytes", self.limit);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }
}

/// One chunk is the whole of most bodies, and is not copied.
fn joined(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        1 => chunks.remove(0),
        _ => Bytes::from(chunks.concat()),
    }
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
