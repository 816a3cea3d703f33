//! Asks the target what callers have asked, a call after the other in each line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::entrance::Waiting;
use super::judge::{Answered, Message};
use super::metrics::{Metrics, Missed};
use crate::caller::{Caller, Failure, Line, MAX_ANSWER_BYTES};
use crate::record::Reply;
use crate::replay::Outcome;
use crate::target::Target;

/// How much memory answers may take that wait to be compared: one of any length has room.
const ANSWERED_BYTES: usize = MAX_ANSWER_BYTES;

/// What lines need.
pub(super) struct Lines {
    /// The records, in the order of their ends.
    pub(super) waiting: Receiver<Waiting>,
    /// Makes the calls.
    pub(super) caller: Arc<Caller>,
    /// Whom they go to.
    pub(super) target: Arc<Target>,
    /// Takes the answers.
    pub(super) judge: Sender<Message>,
    /// Counts the others.
    pub(super) metrics: Arc<Metrics>,
}

/// Lines at work.
pub(super) struct AtWork(JoinSet<()>);

/// One line.
#[derive(Clone)]
struct Asking {
    waiting: Arc<Mutex<Receiver<Waiting>>>,
    answered: Arc<Semaphore>,
    target: Arc<Target>,
    judge: Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Lines {
    /// So many lines begin to work.
    pub(super) fn start(self, number: usize) -> AtWork {
        let Self { waiting, caller, target, judge, metrics } = self;
        let waiting = Arc::new(Mutex::new(waiting));
        let answered = Arc::new(Semaphore::new(ANSWERED_BYTES));
        let asking = Asking { waiting, answered, target, judge, metrics };
        let mut tasks = JoinSet::new();
        for _ in 0..number {
            tasks.spawn(asking.clone().run(caller.line()));
        }
        AtWork(tasks)
    }
}

impl AtWork {
    /// Lets them ask what waits, so long at most.
    pub(super) async fn end(mut self, patience: Duration) {
        let all = async { while self.0.join_next().await.is_some() {} };
        // What is left then is counted by what is missing.
        let _ = tokio::time::timeout(patience, all).await;
        self.0.shutdown().await;
    }
}

impl Asking {
    async fn run(self, mut line: Line) {
        while let Some(waiting) = self.next().await {
            if let Some(outcome) = self.ask(&mut line, &waiting).await {
                let Some(room) = room(&self.answered, &outcome.reply).await else { return };
                let answered = Box::new(Answered { waiting, outcome, _room: room });
                if self.judge.send(Message::Answered(answered)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// The turn is given back before the call is made.
    async fn next(&self) -> Option<Waiting> {
        self.waiting.lock().await.recv().await
    }

    /// What the target answers; none where it was not asked, which says nothing of its answers.
    async fn ask(&self, line: &mut Line, waiting: &Waiting) -> Option<Outcome> {
        let record = &waiting.record;
        let Ok(request) = self.target.prepare(record) else {
            self.metrics.miss(Missed::Unsendable);
            return None;
        };
        let (sent_at, sent) = (Timestamp::now(), Instant::now());
        let answer = match line.call(request, &record.reply).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Refused(_)) => {
                self.metrics.miss(Missed::Unreachable);
                return None;
            }
            Err(Failure::Broken(reason)) => Err(reason),
        };
        let latency_us = u64::try_from(sent.elapsed().as_micros()).ok();
        Some(Outcome { reply: Reply { answer, latency_us }, sent_at, lateness_us: 0 })
    }
}

/// Waits until there is room for one more answer. What is compared makes room, so it comes.
async fn room(answered: &Arc<Semaphore>, reply: &Reply) -> Option<OwnedSemaphorePermit> {
    let bytes = u32::try_from(reply.body_bytes().min(ANSWERED_BYTES)).ok()?;
    Arc::clone(answered).acquire_many_owned(bytes).await.ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::*;
    use crate::record::Answer;

    #[tokio::test]
    async fn long_answers_wait_for_room_of_which_each_has_enough() {
        let answered = Arc::new(Semaphore::new(ANSWERED_BYTES));
        let of = |bytes: usize| {
            let body = Bytes::from(vec![0; bytes]);
            let (content_type, headers) = (None, Default::default());
            let answer = Ok(Answer { status: 200, content_type, headers, body });
            Reply { answer, latency_us: None }
        };
        let (longest, empty) = (of(MAX_ANSWER_BYTES), of(0));
        let first = room(&answered, &longest).await;
        assert!(room(&answered, &longest).now_or_never().is_none());
        assert!(room(&answered, &empty).now_or_never().is_some());
        drop(first);
        assert!(room(&answered, &longest).now_or_never().is_some());
    }
}
