//! One process that is well: takes calls from the queue, hears its replies, sees it hang or end.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::call::{Failure, Job, Reply};
use super::fleet::Fleet;
use super::process::{Event, Process};
use super::quarantine::{self, Standing};
use super::wire::Spoken;

/// How often a process's memory is looked at.
const MEMORY_CHECK: Duration = Duration::from_secs(1);
/// How long a replacement that did not start is not tried again.
const REPLACEMENT_PAUSE: Duration = Duration::from_secs(30);

/// A process and the calls that it has.
pub(super) struct Runner {
    fleet: Arc<Fleet>,
    process: Process,
    in_flight: HashMap<u64, InFlight>,
    /// A suspect that waits until it can have the process for itself.
    held: Option<Job>,
    /// How many calls it has answered.
    answered: u64,
    /// Whether it only ends what it has.
    is_retiring: bool,
    /// Whether a line that nobody asked for was logged.
    has_babbled: bool,
}

struct InFlight {
    job: Job,
    since: Instant,
    /// Whether the request is a suspect, alone with the process.
    is_trial: bool,
}

/// How it ended.
pub(super) enum End {
    /// As it was told to.
    Stopped,
    /// By itself or for hanging, as the sentence's predicate says.
    Died { how: String, has_answered: bool },
    /// It grew too large; its successor is well, and it is to retire.
    Outgrown { old: Box<Runner>, new: Process },
}

type Starting = Pin<Box<dyn Future<Output = Result<Process, String>> + Send>>;

impl Runner {
    pub(super) fn new(fleet: Arc<Fleet>, process: Process) -> Self {
        Self {
            fleet,
            process,
            in_flight: HashMap::new(),
            held: None,
            answered: 0,
            is_retiring: false,
            has_babbled: false,
        }
    }

    /// Gives the process calls until it ends, hangs, has outgrown its memory, or all are to stop.
    pub(super) async fn run(mut self) -> End {
        let fleet = Arc::clone(&self.fleet);
        let mut successor: Option<Starting> = None;
        let mut pause_until = Instant::now();
        let mut memory = interval(MEMORY_CHECK);
        memory.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.is_retiring && self.in_flight.is_empty() {
                self.process.end().await;
                return End::Stopped;
            }
            let patience_ends = self.patience_ends();
            tokio::select! {
                biased;
                () = fleet.stop.cancelled() => {
                    self.process.end().await;
                    return End::Stopped;
                }
                event = self.process.event() => match event {
                    Event::Spoken(spoken) => self.hear(spoken),
                    Event::Ended(how) => return self.mourn(how).await,
                },
                () = sleep_until(patience_ends), if !self.in_flight.is_empty() => {
                    if let Some(end) = self.end_if_hung() {
                        return end;
                    }
                }
                started = ready(&mut successor) => {
                    successor = None;
                    match started {
                        Ok(new) => return End::Outgrown { old: Box::new(self), new },
                        Err(how) => {
                            tracing::warn!(pid = self.process.id(), "its successor {how}");
                            pause_until = Instant::now() + REPLACEMENT_PAUSE;
                        }
                    }
                }
                _ = memory.tick(), if self.may_outgrow() && successor.is_none() => {
                    if self.is_too_large() && pause_until <= Instant::now() {
                        let fleet = Arc::clone(&fleet);
                        successor = Some(Box::pin(async move { fleet.start().await }));
                    }
                }
                job = fleet.queue.next(), if self.takes_calls() => self.give(job),
            }
        }
    }

    /// From now on it gets no more calls.
    pub(super) fn retire(mut self) -> Self {
        self.is_retiring = true;
        if let Some(job) = self.held.take() {
            self.fleet.queue.push_front(job);
        }
        self
    }

    fn takes_calls(&self) -> bool {
        let has_trial = self.in_flight.values().any(|call| call.is_trial);
        let has_room = self.in_flight.len() < self.fleet.options.concurrency.get();
        has_room && !has_trial && self.held.is_none() && !self.is_retiring
    }

    fn give(&mut self, job: Job) {
        match self.fleet.quarantine.standing(&job.call) {
            Standing::Poisonous => self.refuse(job),
            Standing::Suspect if !self.in_flight.is_empty() => self.held = Some(job),
            standing => {
                job.start();
                let waited = job.arrived.elapsed().as_secs_f64();
                self.fleet.metrics.queue_duration.observe(waited);
                let id = self.process.send(&job.call);
                let is_trial = standing == Standing::Suspect;
                self.in_flight.insert(id, InFlight { job, since: Instant::now(), is_trial });
            }
        }
    }

    fn hear(&mut self, spoken: Spoken) {
        match spoken {
            Spoken::Reply { id, reply } => match self.in_flight.remove(&id) {
                Some(call) => self.settle(call, reply),
                None => {
                    self.fleet.metrics.workers.strays.inc();
                    self.babble(&format!("the worker replied to {id}, which it was not asked"));
                }
            },
            Spoken::Garbage(sentence) => {
                self.fleet.metrics.workers.garbage.inc();
                self.babble(&sentence);
                for (_, call) in self.in_flight.drain() {
                    call.job.answer(Err(Failure::Failed(sentence.clone())));
                }
            }
        }
        if self.in_flight.is_empty()
            && let Some(job) = self.held.take()
        {
            self.give(job);
        }
    }

    fn settle(&mut self, call: InFlight, reply: Result<Reply, String>) {
        self.answered += 1;
        let took = call.since.elapsed().as_secs_f64();
        self.fleet.metrics.inference_duration.observe(took);
        self.fleet.quarantine.acquit(&call.job.call);
        let reply = reply.and_then(|reply| self.fleet.contract.check(reply));
        call.job.answer(reply.map_err(Failure::Failed));
    }

    /// Logs the first line that nobody asked for; a worker that goes on must not fill the log.
    fn babble(&mut self, sentence: &str) {
        if !self.has_babbled {
            tracing::warn!(pid = self.process.id(), "{sentence}; more of this is only counted");
        }
        self.has_babbled = true;
    }

    /// Hears what a process that ended had still to say, and finds new homes for its calls.
    async fn mourn(mut self, how: String) -> End {
        while let Some(spoken) = self.process.last_words().await {
            self.hear(spoken);
        }
        if let Some(job) = self.held.take() {
            self.fleet.queue.push_front(job);
        }
        for (_, call) in std::mem::take(&mut self.in_flight) {
            self.strike(call, &how);
        }
        End::Died { how, has_answered: self.answered > 0 }
    }

    fn strike(&self, call: InFlight, how: &str) {
        let InFlight { job, since, is_trial } = call;
        match self.fleet.quarantine.strike(&job.call, is_trial.then_some(since)) {
            Standing::Poisonous => self.refuse(job),
            _ if job.is_retry => {
                let reason =
                    format!("the worker {how} while it had this request, as one did before");
                job.answer(Err(Failure::Failed(reason)));
            }
            _ => self.fleet.retry(job),
        }
    }

    fn refuse(&self, job: Job) {
        self.fleet.metrics.workers.poisoned.inc();
        let sentence = quarantine::refusal(&job.call);
        job.answer(Err(Failure::Poisonous(sentence)));
    }

    /// When the process has had one of its calls for too long; some time, where it has none.
    fn patience_ends(&self) -> Instant {
        let since = self.in_flight.values().map(|call| call.since).min();
        since.unwrap_or_else(Instant::now) + self.fleet.limits.deadline
    }

    /// Kills a process that has had a call for the whole deadline; its other calls are innocent.
    fn end_if_hung(&mut self) -> Option<End> {
        let patience = self.fleet.limits.deadline;
        if !self.in_flight.values().any(|call| call.since.elapsed() >= patience) {
            return None;
        }
        self.process.kill();
        let how = format!("was killed: it did not answer a request within {patience:?}");
        if let Some(job) = self.held.take() {
            self.fleet.queue.push_front(job);
        }
        for (_, call) in std::mem::take(&mut self.in_flight) {
            if call.since.elapsed() >= patience {
                self.strike(call, &how);
            } else {
                self.fleet.retry(call.job);
            }
        }
        Some(End::Died { how, has_answered: self.answered > 0 })
    }

    fn may_outgrow(&self) -> bool {
        self.fleet.options.max_rss_mb.is_some() && !self.is_retiring
    }

    /// Whether it has grown above the mark by working; a fresh one's successor would be no smaller.
    fn is_too_large(&self) -> bool {
        let (Some(mark), Some(rss_mb)) = (self.fleet.options.max_rss_mb, self.process.rss_mb())
        else {
            return false;
        };
        let is_too_large = rss_mb > mark && self.answered > 0;
        if is_too_large {
            tracing::info!(pid = self.process.id(), rss_mb, mark, "the worker is being replaced");
        }
        is_too_large
    }
}

/// Waits for the successor, for ever where there is none.
async fn ready(successor: &mut Option<Starting>) -> Result<Process, String> {
    match successor {
        Some(starting) => starting.await,
        None => std::future::pending().await,
    }
}
