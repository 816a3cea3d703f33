//! One connection, which is looked after by the task whose call is on it: handing each request to
//! another task, and the answer back, would take longer than all else in a call.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use tokio::task::unconstrained;
use tower_service::Service;

use super::connector::{Connector, Stream};
use super::fault::Fault;
use crate::error::chain;

/// An HTTP/1 connection.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    /// None once it is closed.
    connection: Option<Box<Connection<Stream, Full<Bytes>>>>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Box<Request<Full<Bytes>>>>,
    pub(super) fault: Fault,
}

impl Wire {
    /// Connects to where the URL leads.
    pub(super) async fn connect(mut connector: Connector, url: Uri) -> Result<Self, Fault> {
        let stream = connector.call(url).await;
        let stream = stream.map_err(|error| Fault::Unreached(chain(&*error)))?;
        let (sender, connection) = http1::handshake(stream).await.map_err(|e| Fault::of(&e))?;
        Ok(Self { sender, connection: Some(Box::new(connection)) })
    }

    /// Whether another request may be sent, as far as can be told: the last one is answered, and
    /// the peer has not hung up.
    pub(super) fn is_free(&mut self) -> bool {
        self.look_after(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// The same after an exchange, by whose end the connection has mostly been found free.
    pub(super) fn is_free_again(&mut self) -> bool {
        self.sender.is_ready() || self.is_free()
    }

    /// Sends a request and reads its answer, whose body has at most `limit` bytes. The connection
    /// is of no use any more where this is dropped before.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response<Bytes>, Unanswered> {
        let response = pin!(self.sender.try_send_request(request));
        let answer = async {
            let response = response.await.map_err(|mut error| {
                let unsent = error.take_message().map(Box::new);
                Unanswered { unsent, fault: Fault::of(error.error()) }
            })?;
            read(response, limit).await.map_err(|fault| Unanswered { unsent: None, fault })
        };
        // All that the answer waits for comes from the connection, so it is looked at whenever that
        // was, and need not be woken. Unconstrained, since the runtime would have to wake it after
        // making it wait for other tasks.
        let mut answer = pin!(unconstrained(answer));
        poll_fn(|context| {
            self.look_after(context);
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Reads and writes what can be. A connection that is closed is dropped, by which requests that
    /// it has not begun to send come back.
    fn look_after(&mut self, context: &mut Context<'_>) {
        let connection = self.connection.as_mut();
        if connection.is_some_and(|connection| Pin::new(connection).poll(context).is_ready()) {
            self.connection = None;
        }
    }
}

/// Of a body that is too long no more than `limit` bytes are read, and nothing where its length is
/// told beforehand.
async fn read(response: Response<Incoming>, limit: usize) -> Result<Response<Bytes>, Fault> {
    let (head, body) = response.into_parts();
    if body.size_hint().lower() > limit as u64 {
        return Err(Fault::TooLarge);
    }
    let body = Limited::new(body, limit).collect().await.map_err(|error| Fault::of(&*error))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("is_open", &self.connection.is_some()).finish_non_exhaustive()
    }
}
