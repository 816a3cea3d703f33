//! Asks the target what callers have asked, a call after the other in each line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinSet;

use super::entrance::Waiting;
use super::judge::{Answered, Message};
use super::metrics::{Metrics, Missed};
use crate::caller::{Caller, Failure, Line};
use crate::record::Reply;
use crate::replay::Outcome;
use crate::target::Target;

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
    target: Arc<Target>,
    judge: Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Lines {
    /// So many lines begin to work.
    pub(super) fn start(self, number: usize) -> AtWork {
        let Self { waiting, caller, target, judge, metrics } = self;
        let asking = Asking { waiting: Arc::new(Mutex::new(waiting)), target, judge, metrics };
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
                let answered = Box::new(Answered { waiting, outcome });
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
