//! Makes the calls, so many at a time, and takes what came of each to be compared.
//!
//! Records are read in one thread, calls are made by tasks, and answers are compared and written
//! in another thread. Each waits for the one behind it, so memory stays as it is.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::answers::Outcome;
use super::feed::{self, Call, Feed};
use super::pace::OddGaps;
use super::recall::Captured;
use crate::caller::{Caller, Failure};
use crate::error::Error;
use crate::record::Reply;

/// After so many calls in a row without a connection, the target is taken to be down.
const MOST_REFUSED: usize = 100;
/// Or after fewer, whose records take so much memory.
const MOST_REFUSED_BYTES: usize = 64 << 20;
/// How many answers wait to be compared.
const WAITING: usize = 4096;
/// How much memory they may take beyond what the captured ones do.
const ROOM_BYTES: usize = 64 << 20;
/// How many are taken at a time.
const BATCH: usize = 256;
/// How long the comparing thread rests when it has taken fewer: being woken for each answer would
/// take longer than comparing it.
const REST: Duration = Duration::from_millis(1);
/// How long it waits for an answer before it looks after its files.
const IDLE: Duration = Duration::from_millis(250);

/// Takes answers in the order in which they come.
pub(crate) trait Bench: Send + 'static {
    /// Compares one.
    fn take(&mut self, captured: &Captured, outcome: &Outcome) -> Result<(), Error>;

    /// Is called after each few answers, and some times a second where none come.
    fn rest(&mut self) -> Result<(), Error>;

    /// Whether it needs no more answers.
    fn is_done(&self) -> bool;
}

/// Makes all calls of the feed and has the answers compared; what was odd about their times.
///
/// # Errors
/// When records end in one that can't be read or sent, the target is down, the bench fails, or a
/// part of all this panics. What was answered before has been taken.
pub(crate) async fn run<B: Bench>(
    feed: Feed,
    caller: Arc<Caller>,
    concurrency: usize,
    bench: B,
) -> Result<(B, OddGaps), Error> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let mut comparing = tokio::task::spawn_blocking(move || compare(bench, receiver));
    let feed = Arc::new(Mutex::new(feed));
    let room = Arc::new(Semaphore::new(ROOM_BYTES));
    let sending = Sending { feed: Arc::clone(&feed), caller, room, clock: Clock::new() };
    let mut senders = JoinSet::new();
    for _ in 0..concurrency {
        senders.spawn(sending.clone().run(sender.clone()));
    }
    drop(sending);
    drop(sender);
    // The comparison ends before the calls where it has failed.
    let bench = (&mut comparing).await.map_err(|_| Error::Panicked("the comparison"))??;
    senders.abort_all();
    while let Some(ended) = senders.join_next().await {
        if ended.is_err_and(|error| error.is_panic()) {
            return Err(Error::Panicked("a task that makes calls"));
        }
    }
    let (failure, odd_gaps) = feed.lock().await.end();
    match failure {
        Some(error) => Err(error),
        None => Ok((bench, odd_gaps)),
    }
}

/// What came of a call, on its way to be compared.
struct Answered {
    call: Box<Call>,
    outcome: Outcome,
    is_refused: bool,
    /// For what the answer is longer than the captured one.
    _room: Option<OwnedSemaphorePermit>,
}

/// One that makes a call after the other.
#[derive(Clone)]
struct Sending {
    feed: Arc<Mutex<Feed>>,
    caller: Arc<Caller>,
    room: Arc<Semaphore>,
    clock: Clock,
}

impl Sending {
    async fn run(self, answers: Sender<Answered>) {
        let mut line = self.caller.line();
        while let Some((mut call, intended)) = self.next().await {
            let Some(request) = call.request.take() else { continue };
            let sent = Instant::now();
            let answer = line.call(request, &call.captured.numbered.record.reply).await;
            let latency_us = Some(micros(sent.elapsed()));
            let is_refused = matches!(answer, Err(Failure::Refused(_)));
            let answer =
                answer.map_err(|(Failure::Refused(reason) | Failure::Broken(reason))| reason);
            let outcome = Outcome {
                reply: Reply { answer, latency_us },
                sent_at: self.clock.at(sent),
                lateness_us: micros(sent.saturating_duration_since(intended)),
            };
            let room = self.room(&call, &outcome.reply).await;
            let answered = Answered { call, outcome, is_refused, _room: room };
            if answers.send(answered).await.is_err() {
                return;
            }
        }
    }

    async fn room(&self, call: &Call, new: &Reply) -> Option<OwnedSemaphorePermit> {
        let old = &call.captured.numbered.record.reply;
        let more = new.body_bytes().saturating_sub(old.body_bytes()).min(ROOM_BYTES);
        let more = u32::try_from(more).ok().filter(|more| *more > 0)?;
        Arc::clone(&self.room).acquire_many_owned(more).await.ok()
    }

    /// The turn is given back before the call is made.
    async fn next(&self) -> Option<(Box<Call>, Instant)> {
        self.feed.lock().await.next().await
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Wall-clock times that never run backwards during a run.
#[derive(Debug, Clone, Copy)]
struct Clock {
    instant: Instant,
    timestamp: Timestamp,
}

impl Clock {
    fn new() -> Self {
        let now = Timestamp::now();
        // In microseconds, as all times of records are.
        let timestamp = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        Self { instant: Instant::now(), timestamp }
    }

    fn at(&self, instant: Instant) -> Timestamp {
        let since = micros(instant.saturating_duration_since(self.instant));
        let at = self.timestamp.checked_add(Duration::from_micros(since));
        at.unwrap_or(self.timestamp)
    }
}

fn compare<B: Bench>(mut bench: B, mut answers: Receiver<Answered>) -> Result<B, Error> {
    let (runtime, mut batch) = (Handle::current(), Vec::with_capacity(BATCH));
    let mut refusals = Refusals::default();
    loop {
        let receiving = answers.recv_many(&mut batch, BATCH);
        // The timer must be made inside of the runtime.
        let received = runtime.block_on(async { tokio::time::timeout(IDLE, receiving).await });
        for answered in batch.drain(..) {
            refusals.pass(answered, &mut bench)?;
            if bench.is_done() {
                return refusals.end(bench);
            }
        }
        bench.rest()?;
        match received {
            Ok(0) => return refusals.end(bench),
            Ok(received) if received < BATCH => thread::sleep(REST),
            _ => {}
        }
    }
}

/// Calls for which there was no connection, one after the other. They count only when a connection
/// is made after them, or all calls have been made: a target that is down says nothing of parity.
///
/// They give back the room of their records: the next ones must be read to learn whether they are
/// refused as well.
#[derive(Default)]
struct Refusals {
    held: Vec<(Captured, Outcome)>,
    bytes: usize,
}

impl Refusals {
    fn pass(&mut self, answered: Answered, bench: &mut impl Bench) -> Result<(), Error> {
        let Answered { call, outcome, is_refused, .. } = answered;
        if !is_refused {
            self.release(bench)?;
            return bench.take(&call.captured, &outcome);
        }
        let Call { captured, .. } = *call;
        self.bytes += feed::size(&captured);
        self.held.push((captured, outcome));
        if self.held.len() < MOST_REFUSED && self.bytes < MOST_REFUSED_BYTES {
            return Ok(());
        }
        let calls = self.held.len();
        let reason = self.held.pop().and_then(|(_, last)| last.reply.answer.err());
        Err(Error::Unreachable { calls, reason: reason.unwrap_or_default() })
    }

    fn release(&mut self, bench: &mut impl Bench) -> Result<(), Error> {
        self.bytes = 0;
        self.held.drain(..).try_for_each(|(captured, outcome)| bench.take(&captured, &outcome))
    }

    fn end<B: Bench>(mut self, mut bench: B) -> Result<B, Error> {
        self.release(&mut bench)?;
        bench.rest()?;
        Ok(bench)
    }
}

#[cfg(test)]
mod tests;
