//! A connection, and the exchanges on it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::unconstrained;

use crate::answer::Answer;
use crate::error::{Error, Unanswered};
use crate::head::Head;
use crate::request::Request;

/// How much is read at once,
const READ_BYTES: usize = 8 << 10;
/// and of an answer that is known to be longer.
const LONG_READ_BYTES: usize = 64 << 10;
/// The largest buffer that is kept for the next exchange.
const MOST_KEPT_BYTES: usize = 2 * READ_BYTES;

/// An open connection.
pub struct Connection<S> {
    stream: S,
    input: BytesMut,
    /// Whether the last exchange has come to an end behind which there may be another.
    is_idle: bool,
}

/// A request on its way.
struct Sending<'a> {
    request: &'a Request,
    sent: usize,
    is_flushed: bool,
    /// A peer that reads no further may have answered already.
    fault: Option<io::Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// One over this stream, on which nothing was sent yet.
    pub fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), is_idle: true }
    }

    /// Whether another request may follow what was sent until now.
    pub fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Looks whether the peer has hung up, or said something unasked: whether the connection is of use
    /// still, as far as can be told.
    pub fn check(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        self.input.reserve(READ_BYTES);
        // Who has had its turn would be told that nothing has come.
        let reading = pin!(unconstrained(self.stream.read_buf(&mut self.input)));
        self.is_idle = self.is_idle && reading.poll(&mut nobody).is_pending();
        self.is_idle
    }

    /// Sends a request and reads its answer: what `read` makes of its head, and its body, which has
    /// at most `most` bytes. Of a longer one no more than that is read, and nothing where its length
    /// is told beforehand. Nothing is sent if the peer has hung up. The connection is of no use any
    /// more where this is dropped before its end.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn exchange<T>(
        &mut self,
        request: &Request,
        most: usize,
        read: impl Fn(&Head<'_>) -> T,
    ) -> Result<(T, Bytes), Unanswered> {
        if !mem::replace(&mut self.is_idle, false) {
            return Err(Unanswered { was_sent: false, error: Error::Closed });
        }
        let mut sending = Sending { request, sent: 0, is_flushed: false, fault: None };
        let mut answer = Answer::new(&request.method, most, read);
        let done = poll_fn(|context| self.poll(context, &mut sending, &mut answer)).await;
        let may_go_on = sending.is_flushed && !request.is_last && answer.keeps_alive();
        self.is_idle = done.is_ok() && may_go_on && self.input.is_empty();
        if self.input.try_reclaim(MOST_KEPT_BYTES + 1) {
            self.input = BytesMut::new();
        }
        done.and_then(|()| answer.close()).map_err(|error| sending.unanswered(error))
    }

    /// Writes and reads what can be, until nothing more of the answer will come.
    fn poll<T, F: Fn(&Head<'_>) -> T>(
        &mut self,
        context: &mut Context<'_>,
        sending: &mut Sending<'_>,
        answer: &mut Answer<'_, T, F>,
    ) -> Poll<Result<(), Error>> {
        if sending.sent == 0 && self.poll_read(context, READ_BYTES).is_ready() {
            return Poll::Ready(Err(Error::Closed));
        }
        sending.write(Pin::new(&mut self.stream), context);
        if sending.sent == 0 && sending.fault.is_some() {
            return Poll::Ready(Err(Error::Closed));
        }
        loop {
            let room = answer.missing().clamp(READ_BYTES, LONG_READ_BYTES);
            if ready!(self.poll_read(context, room))? == 0 {
                return Poll::Ready(Ok(()));
            }
            if answer.take(&mut self.input)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.input.reserve(room);
        pin!(self.stream.read_buf(&mut self.input)).poll(context)
    }
}

impl Sending<'_> {
    /// Writes what can be.
    fn write(&mut self, stream: Pin<&mut impl AsyncWrite>, context: &mut Context<'_>) {
        if self.fault.is_none()
            && !self.is_flushed
            && let Poll::Ready(done) = self.poll_write(stream, context)
        {
            self.is_flushed = done.is_ok();
            self.fault = done.err();
        }
    }

    fn poll_write(
        &mut self,
        mut stream: Pin<&mut impl AsyncWrite>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let rest = self.request.rest(self.sent);
            if rest.is_empty() {
                return stream.poll_flush(context);
            }
            match ready!(stream.as_mut().poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
    }

    /// A fault that came first is the cause of the other.
    fn unanswered(self, error: Error) -> Unanswered {
        let is_end = matches!(error, Error::Closed | Error::Io(_));
        let fault = self.fault.filter(|_| is_end).map(Error::Io);
        Unanswered { was_sent: self.sent > 0, error: fault.unwrap_or(error) }
    }
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_idle", &self.is_idle).finish_non_exhaustive()
    }
}
