//! A call whose answer is passed on in parts as they come. A caller who leaves ends the call.

use std::future::ready;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{once, poll_fn};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::http::response::Parts;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::failure::Failure;
use super::forward::{ANSWER_LIMIT, SPARES, TIMED_OUT, Way, explain, too_long};
use super::frames::{self, Broken};
use super::headers;
use super::outcome::{Outcome, Output};
use crate::body::INVOCATION_BYTES;
use crate::connections::{Connections, Lost, Streaming};
use crate::meter::Ending;
use crate::model_error::ModelError;
use crate::pool::Running;

/// A streamed answer must end within eight minutes:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-test-endpoints.html>
const STREAM_LIMIT: Duration = Duration::from_secs(480);

/// Parts on their way to a caller who reads slowly; the container waits meanwhile.
const PARTS_AHEAD: usize = 4;

/// A caller who reads nothing for so long has left.
const UNREAD_LIMIT: Duration = Duration::from_secs(60);

/// What is still to be read once the container is gone, or told to go, waits for so long.
const LAST_PART_LIMIT: Duration = Duration::from_secs(5);

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
    mut way: Way,
    request: Request<Full<Bytes>>,
    keeps: bool,
    begun: Begun,
    outcome: &mut Outcome,
) {
    let mut spares = 0..SPARES;
    let (asked, asking) = loop {
        let asked = Instant::now();
        let asking = begin(&way.running.connections, request.clone(), outcome);
        let asking = timeout(ANSWER_LIMIT, asking).await;
        // Waiting for another container is not the model's time.
        outcome.model = Some(asked.elapsed());
        match asking {
            Ok(Err(Begin::Unsent(_))) if spares.next().is_some() => {
                if let Err(failure) = way.renew().await {
                    outcome.excuse(&failure);
                    return drop(begun.send(Err(failure)));
                }
            }
            asking => break (asked, asking),
        }
    };
    let failure = match asking {
        Ok(Ok(first)) => {
            let until = asked + STREAM_LIMIT;
            let pump = Pump { until, keeps, running: &way.running, outcome };
            let ended = pump.run(first, begun).await;
            outcome.model = Some(asked.elapsed());
            if let Ended::Early = ended {
                if way.call.pool().is_closed() {
                    outcome.ending = Ending::Excused;
                }
                // The container may still be at work on it; no other call gets it meanwhile.
                way.call.doubt(way.running);
            }
            return;
        }
        Ok(Err(Begin::Failed(failure))) => failure,
        Ok(Err(Begin::Unsent(cause) | Begin::Lost(cause))) => explain(way.running, &cause).await,
        Err(_) => {
            way.call.doubt(way.running);
            Failure::silent(TIMED_OUT)
        }
    };
    outcome.excuse(&failure);
    begun.send(Err(failure)).ok();
}

/// Why an answer has not begun.
enum Begin {
    /// This is what the caller is told.
    Failed(Failure),
    /// Nothing was sent.
    Unsent(String),
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
            outcome.ending = Ending::Answered(status.as_u16());
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
        Lost::Unsent(cause) => Begin::Unsent(cause),
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

/// Told that an answer is whole, or that its caller knows that it is not.
type End = oneshot::Sender<()>;

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
    /// The container.
    running: &'a Running,
    /// What is known of the call.
    outcome: &'a mut Outcome,
}

impl Pump<'_> {
    async fn run(self, first: First, begun: Begun) -> Ended {
        let Streaming { head, mut body, sender } = first.answer;
        let (parts, receiver) = mpsc::channel(PARTS_AHEAD);
        let (end, proper_end) = oneshot::channel();
        if begun.send(Ok(response(&head, receiver, proper_end))).is_err() {
            return self.left();
        }
        let (mut part, mut kept) = (first.part, BytesMut::new());
        while let Some(bytes) = part {
            self.outcome.bytes_out += bytes.len();
            if self.keeps && kept.len() + bytes.len() <= INVOCATION_BYTES {
                kept.extend_from_slice(&bytes);
            }
            if !self.is_read(&parts, frames::part(bytes)).await {
                return self.left();
            }
            let coming = tokio::select! {
                coming = timeout_at(self.until, next(&mut body)) => coming,
                () = parts.closed() => return self.left(),
            };
            part = match coming {
                Ok(Ok(part)) => part,
                Ok(Err(_)) => return breaks_off(&parts, end, Broken::Off).await,
                Err(_) => return breaks_off(&parts, end, Broken::TooLate).await,
            };
        }
        end.send(()).ok();
        self.running.connections.keep(sender);
        self.outcome.ending = Ending::Answered(head.status.as_u16());
        // What is longer than a call may be was not kept whole.
        if kept.len() == self.outcome.bytes_out {
            let content_type = headers::content_type(&head.headers);
            self.outcome.output = Some(Output { content_type, body: kept.freeze() });
        }
        Ended::Whole
    }

    fn left(self) -> Ended {
        self.outcome.ending = Ending::Excused;
        Ended::Early
    }

    /// Hands a part to the caller, who may leave; one who does not read holds nobody up for long.
    async fn is_read(&self, parts: &mpsc::Sender<Bytes>, part: Bytes) -> bool {
        let until = self.until.min(Instant::now() + UNREAD_LIMIT);
        let last_moment = async {
            self.running.ended().await;
            sleep(LAST_PART_LIMIT).await;
        };
        tokio::select! {
            sent = timeout_at(until, parts.send(part)) => matches!(sent, Ok(Ok(()))),
            () = last_moment => false,
        }
    }
}

async fn breaks_off(parts: &mpsc::Sender<Bytes>, end: End, how: Broken) -> Ended {
    let message = match how {
        Broken::Off => "the container broke off its answer",
        Broken::TooLate => "the container's answer took longer than 8 minutes",
    };
    let telling = parts.send(frames::broken(how, message));
    if let Ok(Ok(())) = timeout(LAST_PART_LIMIT, telling).await {
        end.send(()).ok();
    }
    Ended::Early
}

/// The parts as they come. Where they end without a proper end, the connection is cut: the caller
/// must not take what there was for the whole answer.
fn response(
    head: &Parts,
    mut parts: mpsc::Receiver<Bytes>,
    proper_end: oneshot::Receiver<()>,
) -> Response {
    let parts = poll_fn(move |context| parts.poll_recv(context)).map(Ok);
    let end = once(proper_end).filter_map(|end| ready(end.err().map(Err)));
    let mut response = Response::new(Body::from_stream(parts.chain(end)));
    headers::to_caller_of_stream(&head.headers, response.headers_mut());
    response
}
