//! A call whose answer is passed on in parts as they come. A caller who leaves ends the call.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::http::response::Parts;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::failure::Failure;
use super::forward::{ANSWER_LIMIT, TIMED_OUT, Way, explain, too_long};
use super::frames::{self, Broken};
use super::headers;
use super::outcome::{Outcome, Output};
use crate::body::INVOCATION_BYTES;
use crate::connections::{Connections, Lost, Streaming};
use crate::model_error::ModelError;

/// A streamed answer must end within eight minutes:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-test-endpoints.html>
const STREAM_LIMIT: Duration = Duration::from_secs(480);

/// Parts on their way to a caller who reads slowly; the container waits meanwhile.
const PARTS_AHEAD: usize = 4;

/// Takes the beginning of the answer.
pub(crate) type Begun = oneshot::Sender<Result<Response, Failure>>;

/// An answer whose first part has come.
struct First {
    /// All of it.
    answer: Streaming,
    /// The first part; none of an empty answer.
    part: Option<Bytes>,
}

/// Passes the answer on, and notes down how it went; what is captured is kept.
pub(super) async fn pass_on(
    way: Way,
    request: Request<Full<Bytes>>,
    keeps: bool,
    begun: Begun,
    outcome: &mut Outcome,
) {
    let until = Instant::now() + STREAM_LIMIT;
    let connections = way.running.connections.clone();
    match timeout(ANSWER_LIMIT, begin(&connections, request, outcome)).await {
        Ok(Ok(first)) => {
            let ended = Pump { until, keeps, outcome }.run(first, begun, &connections).await;
            if let Ended::Early = ended {
                // The container may still be at work on it; no other call gets it meanwhile.
                way.call.doubt(way.running);
            }
        }
        Ok(Err(Begin::Failed(failure))) => drop(begun.send(Err(failure))),
        Ok(Err(Begin::Lost(cause))) => drop(begun.send(Err(explain(way.running, &cause).await))),
        Err(_) => {
            way.call.doubt(way.running);
            begun.send(Err(Failure::silent(TIMED_OUT))).ok();
        }
    }
}

/// Why an answer has not begun.
enum Begin {
    /// This is what the caller is told.
    Failed(Failure),
    /// The connection broke.
    Lost(String),
}

/// Waits for the first part: up to it, a failure is still an error of its own.
async fn begin(
    connections: &Connections,
    request: Request<Full<Bytes>>,
    outcome: &mut Outcome,
) -> Result<First, Begin> {
    let mut answer = connections.begin(request).await.map_err(lost)?;
    if !answer.head.status.is_success() {
        return Err(refused(connections, answer, outcome).await);
    }
    let part = next(&mut answer.body).await.map_err(lost)?;
    Ok(First { answer, part })
}

async fn refused(connections: &Connections, answer: Streaming, outcome: &mut Outcome) -> Begin {
    match Limited::new(answer.body, INVOCATION_BYTES).collect().await {
        Ok(body) => {
            connections.keep(answer.sender);
            let (status, body) = (answer.head.status, body.to_bytes());
            outcome.status = Some(status.as_u16());
            outcome.bytes_out = body.len();
            Begin::Failed(Failure::Model(ModelError::answered(status, &body)))
        }
        Err(error) if error.is::<LengthLimitError>() => Begin::Failed(too_long()),
        Err(error) => lost(Lost::broken(&*error)),
    }
}

fn lost(lost: Lost) -> Begin {
    match lost {
        Lost::TooLong => Begin::Failed(too_long()),
        Lost::Broken(cause) => Begin::Lost(cause),
    }
}

/// The next part that is not empty.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Lost> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Lost::broken(&error))?;
        if let Ok(part) = frame.into_data()
            && !part.is_empty()
        {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// How an answer that had begun has ended.
enum Ended {
    /// It is whole.
    Whole,
    /// The caller left, the container broke it off, or it took too long.
    Early,
}

/// Passes the parts on.
struct Pump<'a> {
    /// When the answer must have ended.
    until: Instant,
    /// Whether the parts are kept for the capture.
    keeps: bool,
    /// What is known of the call.
    outcome: &'a mut Outcome,
}

impl Pump<'_> {
    async fn run(self, first: First, begun: Begun, connections: &Connections) -> Ended {
        let Streaming { head, mut body, sender } = first.answer;
        let (parts, receiver) = mpsc::channel(PARTS_AHEAD);
        if begun.send(Ok(response(&head, receiver))).is_err() {
            return Ended::Early;
        }
        let (mut part, mut kept) = (first.part, BytesMut::new());
        while let Some(bytes) = part {
            self.outcome.bytes_out += bytes.len();
            if self.keeps && kept.len() + bytes.len() <= INVOCATION_BYTES {
                kept.extend_from_slice(&bytes);
            }
            // The caller may leave, and one who does not read holds the container up no longer
            // than the container itself may take.
            let sent = timeout_at(self.until, parts.send(frames::part(bytes))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return Ended::Early;
            }
            let coming = tokio::select! {
                coming = timeout_at(self.until, next(&mut body)) => coming,
                () = parts.closed() => return Ended::Early,
            };
            part = match coming {
                Ok(Ok(part)) => part,
                Ok(Err(_)) => return breaks_off(&parts, Broken::Off).await,
                Err(_) => return breaks_off(&parts, Broken::TooLate).await,
            };
        }
        connections.keep(sender);
        self.outcome.status = Some(head.status.as_u16());
        // What is longer than a call may be was not kept whole.
        if kept.len() == self.outcome.bytes_out {
            let content_type = headers::content_type(&head.headers);
            self.outcome.output = Some(Output { content_type, body: kept.freeze() });
        }
        Ended::Whole
    }
}

async fn breaks_off(parts: &mpsc::Sender<Bytes>, how: Broken) -> Ended {
    let message = match how {
        Broken::Off => "the container broke off its answer",
        Broken::TooLate => "the container's answer took longer than 8 minutes",
    };
    parts.send(frames::broken(how, message)).await.ok();
    Ended::Early
}

fn response(head: &Parts, mut parts: mpsc::Receiver<Bytes>) -> Response {
    let parts = poll_fn(move |context| parts.poll_recv(context)).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(parts));
    headers::to_caller_of_stream(&head.headers, response.headers_mut());
    response
}
