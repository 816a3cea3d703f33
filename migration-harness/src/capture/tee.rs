//! A body that is copied as it passes, frame by frame, in its own time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::call::{Call, Side};

/// One side of a call on its way through.
#[derive(Debug)]
pub(super) struct Tee {
    body: Incoming,
    call: Option<Arc<Call>>,
    side: Side,
}

impl Tee {
    /// Without a call, the body only passes.
    pub(super) fn new(body: Incoming, call: Option<Arc<Call>>, side: Side) -> Self {
        let tee = Self { body, call, side };
        tee.notice_end();
        tee
    }

    /// Nobody asks a body for more that says it has ended.
    fn notice_end(&self) {
        if let Some(call) = &self.call
            && self.body.is_end_stream()
        {
            call.end(self.side);
        }
    }
}

impl Body for Tee {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(call) = &self.call {
            match &next {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        call.copy(self.side, data);
                    }
                }
                Some(Err(error)) => call.cut(self.side, error),
                None => call.end(self.side),
            }
            self.notice_end();
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            call.leave(self.side);
        }
    }
}
