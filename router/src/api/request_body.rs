//! Request bodies as callers send them: some fall silent, some are refused before they are read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};

/// How long a caller may send nothing in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);
/// How much of a body that nobody reads is taken in and thrown away, and for how long.
const MAX_UNREAD_BYTES: usize = 64 * 1024 * 1024;
const MAX_UNREAD: Duration = Duration::from_secs(10);

/// A body that fails with [`Silent`] when the caller falls silent. What is left of it when it is
/// dropped is read all the same: a connection closed over unread bytes would lose the answer.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Body,
    /// How long a silence may be.
    silence: Duration,
    /// Set while waiting for the caller.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Whether the caller sends without having been asked to.
    flows: bool,
}

/// The caller has not sent anything for too long.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the body did not come in time")]
pub(super) struct Silent;

/// Puts the request's body under these terms.
pub(super) async fn on_terms(request: Request) -> Request {
    let flows = !request.headers().contains_key(EXPECT);
    request.map(|body| Body::new(RequestBody::new(body, SILENCE, flows)))
}

impl RequestBody {
    pub(super) fn new(body: Body, silence: Duration, flows: bool) -> Self {
        Self { body, silence, waiting: None, flows }
    }

    /// Nothing is left to read, or to wait for.
    fn end(&mut self) {
        self.body = Body::empty();
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.flows = true;
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.waiting = None;
            return frame;
        }
        let silence = self.silence;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(silence)));
        ready!(waiting.as_mut().poll(context));
        self.end();
        Poll::Ready(Some(Err(axum::Error::new(Silent))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.body);
        if rest.is_end_stream() || !self.flows {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(discard(rest));
        }
    }
}

async fn discard(rest: Body) {
    let mut rest = Limited::new(rest, MAX_UNREAD_BYTES);
    let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
    if timeout(MAX_UNREAD, reading).await.is_err() {
        tracing::debug!("a body that nobody reads took too long");
    }
}
