//! Makes calls and reads the whole answers, on connections of one's own.

mod alarm;
mod wire;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sagemakerruntime::Client;
use http1_connection::{Request, Unanswered};

use crate::record::{Answer, Reply};
use crate::target::{Origin, Prepared, sagemaker};
use alarm::Alarm;
use wire::{Connector, Wire};

/// The largest answer that is read.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How many connections a line keeps, where many hosts are called.
const MOST_WIRES: usize = 32;
/// The first wait before a connection is tried again; each is twice as long as the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection, so nothing was sent.
    Refused(String),
    /// The call was made, and no whole answer came.
    Broken(String),
}

/// What a target is called by, beside plain HTTP.
#[derive(Debug, Default)]
pub(crate) struct Means {
    /// Whether `https://` is called.
    pub(crate) with_tls: bool,
    /// The SDK's client, where SageMaker is.
    pub(crate) sagemaker: Option<Client>,
}

/// What all lines share.
#[derive(Debug)]
pub(crate) struct Caller {
    connector: Connector,
    sagemaker: Option<Client>,
    timeout: Duration,
    retries: u32,
}

/// One caller, who makes a call after the other.
#[derive(Debug)]
pub(crate) struct Line {
    alarm: Alarm,
    hand: Hand,
}

/// What makes the calls of a line, however long they take.
#[derive(Debug)]
struct Hand {
    caller: Arc<Caller>,
    /// Boxed, since each is taken out for a call and put back.
    wires: Vec<(Arc<Origin>, Box<Wire>)>,
    /// Whether the call under way has no connection yet.
    is_connecting: bool,
}

impl Caller {
    /// A call that takes longer than `timeout` has failed; one for which there is no connection is
    /// tried again up to `retries` times.
    pub(crate) fn new(timeout: Duration, retries: u32, means: Means) -> Self {
        Self {
            connector: wire::connector(means.with_tls),
            sagemaker: means.sagemaker,
            timeout,
            retries,
        }
    }

    /// A caller of one's own; the runtime, which has the timers, must be there.
    pub(crate) fn line(self: &Arc<Self>) -> Line {
        let hand = Hand { caller: Arc::clone(self), wires: Vec::new(), is_connecting: false };
        Line { alarm: Alarm::new(self.timeout), hand }
    }
}

impl Line {
    /// The answer, with those headers that the captured one has.
    pub(crate) async fn call(
        &mut self,
        call: Prepared,
        captured: &Reply,
    ) -> Result<Answer, Failure> {
        let mut wait = FIRST_WAIT;
        for _ in 0..self.hand.caller.retries {
            match self.once(&call, captured).await {
                Err(Failure::Refused(_)) => {}
                done => return done,
            }
            tokio::time::sleep(wait).await;
            wait = (2 * wait).min(LONGEST_WAIT);
        }
        self.once(&call, captured).await
    }

    async fn once(&mut self, call: &Prepared, captured: &Reply) -> Result<Answer, Failure> {
        self.hand.is_connecting = false;
        let done = self.alarm.within(pin!(self.hand.make(call, captured))).await;
        if let Some(done) = done {
            return done;
        }
        let timeout = humantime::format_duration(self.hand.caller.timeout);
        Err(if self.hand.is_connecting {
            Failure::Refused(format!("no connection within {timeout}"))
        } else {
            Failure::Broken(format!("no answer within {timeout}"))
        })
    }
}

impl Hand {
    async fn make(&mut self, call: &Prepared, captured: &Reply) -> Result<Answer, Failure> {
        match (call, &self.caller.sagemaker) {
            (Prepared::Http(origin, request), _) => self.exchange(origin, request, captured).await,
            (Prepared::SageMaker(call), Some(client)) => {
                sagemaker::invoke(client, call.clone()).await
            }
            (Prepared::SageMaker(_), None) => {
                Err(Failure::Broken("there is no client for SageMaker".to_owned()))
            }
        }
    }

    /// A wire that breaks, or is left in the middle of a call, is not used again. One that turns out
    /// to be closed before anything was sent is no failure.
    async fn exchange(
        &mut self,
        origin: &Arc<Origin>,
        request: &Request,
        captured: &Reply,
    ) -> Result<Answer, Failure> {
        if let Some(mut wire) = self.take_wire(origin) {
            match wire.exchange(request, captured).await {
                Ok(answer) => {
                    self.keep_wire(origin, wire);
                    return Ok(answer);
                }
                Err(Unanswered { was_sent: false, .. }) => {}
                Err(unanswered) => return Err(Failure::Broken(chain(&unanswered.error))),
            }
        }
        self.is_connecting = true;
        let wire = Wire::connect(&self.caller.connector, origin).await;
        self.is_connecting = false;
        let mut wire = Box::new(wire.map_err(Failure::Refused)?);
        let answer = wire.exchange(request, captured).await;
        let answer = answer.map_err(|unanswered| Failure::Broken(chain(&unanswered.error)))?;
        self.keep_wire(origin, wire);
        Ok(answer)
    }

    fn take_wire(&mut self, origin: &Arc<Origin>) -> Option<Box<Wire>> {
        let of =
            |(other, _): &(Arc<Origin>, Box<Wire>)| Arc::ptr_eq(other, origin) || other == origin;
        let found = self.wires.iter().position(of)?;
        Some(self.wires.swap_remove(found).1).filter(|wire| wire.is_fresh())
    }

    fn keep_wire(&mut self, origin: &Arc<Origin>, wire: Box<Wire>) {
        if self.wires.len() == MOST_WIRES {
            self.wires.remove(0);
        }
        self.wires.push((Arc::clone(origin), wire));
    }
}

/// The error with its causes, as HTTP clients hide the telling one inside.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
