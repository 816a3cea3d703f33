//! One process that is well: takes calls from the queue, hears its replies, sees it hang or end.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::call::{Failure, Job, Reply};
use super::fleet::Fleet;
use super::process::{Death, Event, Process};
use super::quarantine::{self, Standing};
use super::wire::Spoken;

/// How often a process's memory is looked at.
const MEMORY_CHECK: Duration = Duration::from_secs(1);
/// How long after a replacement, or one that did not start, no other is tried.
pub(super) const REPLACEMENT_PAUSE: Duration = Duration::from_secs(30);
/// So many failed calls in a row may be the process's fault and not the requests'.
const DOUBTFUL_FAILURES: u32 = 5;
/// So many lines in a row that are no replies come from a process that has lost its way.
const MAX_GARBAGE: u32 = 100;
/// How long a process is believed to be well without having said anything.
const IDLE: Duration = Duration::from_secs(10);
/// A process that answers and exits is seen to have ended within this.
const LAST_BREATH: Duration = Duration::from_millis(50);
/// So many workers killed from outside have their common cause in the request that they had.
const MAX_KILLS: u32 = 3;

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
    /// When it may be replaced for its memory.
    replaceable_from: Instant,
    /// When it last said something or passed its canaries.
    heard: Instant,
    doubt: Doubt,
}

/// What speaks for a process's being broken.
#[derive(Default)]
struct Doubt {
    /// Failed calls in a row.
    failures: u32,
    /// Lines in a row that are no replies.
    garbage: u32,
    /// Whether it is to be asked its canaries before it gets more calls.
    is_grave: bool,
}

struct InFlight {
    job: Job,
    since: Instant,
    /// Whether the request is a suspect, alone with the process.
    is_trial: bool,
}

impl InFlight {
    /// When the process hangs: at the call's own deadline, but never for having got it late.
    fn patience_ends(&self, patience: Duration) -> Instant {
        self.job.deadline.max(self.since + patience / 2)
    }
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
    /// A runner of a process that has just passed its canaries.
    pub(super) fn new(fleet: Arc<Fleet>, process: Process, replaceable_from: Instant) -> Self {
        Self {
            fleet,
            process,
            in_flight: HashMap::new(),
            held: None,
            answered: 0,
            is_retiring: false,
            has_babbled: false,
            replaceable_from,
            heard: Instant::now(),
            doubt: Doubt::default(),
        }
    }

    /// Gives the process calls until it ends, hangs, has outgrown its memory, or all are to stop.
    pub(super) async fn run(mut self) -> End {
        let fleet = Arc::clone(&self.fleet);
        let mut successor: Option<Starting> = None;
        let mut memory = interval(MEMORY_CHECK);
        memory.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.is_retiring && self.in_flight.is_empty() {
                self.process.end().await;
                return End::Stopped;
            }
            let is_due = self.doubt.is_grave && self.in_flight.is_empty();
            if is_due && let Err(how) = self.examine().await {
                return self.condemn(how);
            }
            let (patience_ends, idle_until) = (self.patience_ends(), self.heard + IDLE);
            let trial_from = self.heard + LAST_BREATH;
            tokio::select! {
                biased;
                () = fleet.stop.cancelled() => {
                    self.process.end().await;
                    return End::Stopped;
                }
                event = self.process.event() => match event {
                    Event::Spoken(spoken) => {
                        self.hear(spoken);
                        if let Some(how) = self.raves() {
                            return self.condemn(how);
                        }
                    }
                    Event::Ended(death) => return self.mourn(death).await,
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
                            self.replaceable_from = Instant::now() + REPLACEMENT_PAUSE;
                        }
                    }
                }
                _ = memory.tick(), if self.may_outgrow() && successor.is_none() => {
                    if self.replaceable_from <= Instant::now() && self.is_too_large() {
                        let fleet = Arc::clone(&fleet);
                        successor = Some(Box::pin(async move { fleet.start().await }));
                    }
                }
                () = sleep_until(trial_from), if self.may_try() => self.try_held(),
                () = sleep_until(idle_until), if self.may_idle() => self.doubt.is_grave = true,
                job = fleet.queue.next(), if self.takes_calls() => self.give(job),
            }
        }
    }

    /// From now on it gets no more calls.
    pub(super) fn retire(mut self) -> Self {
        self.is_retiring = true;
        self.release();
        self
    }

    /// Lets another worker have the suspect that waits.
    fn release(&mut self) {
        if let Some(job) = self.held.take() {
            self.fleet.queue.push_front(job);
        }
    }

    /// Whether the suspect may have the process, once it has been silent for long enough.
    fn may_try(&self) -> bool {
        self.held.is_some() && self.in_flight.is_empty() && !self.doubt.is_grave
    }

    fn try_held(&mut self) {
        if let Some(job) = self.held.take() {
            self.give(job);
        }
    }

    /// Whether only its canaries can tell that it is still well.
    fn may_idle(&self) -> bool {
        self.in_flight.is_empty() && self.fleet.has_canaries()
    }

    fn takes_calls(&self) -> bool {
        let has_trial = self.in_flight.values().any(|call| call.is_trial);
        let has_room = self.in_flight.len() < self.fleet.options.concurrency.get();
        let may_take = self.held.is_none() && !self.is_retiring && !self.doubt.is_grave;
        has_room && !has_trial && may_take
    }

    fn give(&mut self, job: Job) {
        match self.fleet.quarantine.standing(|| job.hash()) {
            Standing::Poisonous => self.refuse(job),
            Standing::Suspect if !self.may_be_tried() => self.held = Some(job),
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

    /// Whether a suspect would be alone with a process that has not just answered and exited.
    fn may_be_tried(&self) -> bool {
        self.in_flight.is_empty() && self.heard.elapsed() >= LAST_BREATH
    }

    fn hear(&mut self, spoken: Spoken) {
        self.heard = Instant::now();
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
                self.doubt.garbage += 1;
                self.doubt.is_grave |=
                    !self.in_flight.is_empty() || self.doubt.garbage >= MAX_GARBAGE;
                // Their places stay taken until it replies, or it would be given more and more.
                for call in self.in_flight.values_mut() {
                    call.job.answer(Err(Failure::Failed(sentence.clone())));
                }
            }
        }
    }

    /// Whether it prints lines without end instead of answering its calls.
    fn raves(&self) -> Option<String> {
        let raves = self.doubt.garbage >= MAX_GARBAGE && !self.in_flight.is_empty();
        raves.then(|| format!("was killed: it printed {MAX_GARBAGE} lines that are no replies"))
    }

    /// Asks the canaries between calls; the error is how the process failed them.
    async fn examine(&mut self) -> Result<(), String> {
        let fleet = Arc::clone(&self.fleet);
        tokio::select! {
            () = fleet.stop.cancelled() => {}
            examined = fleet.examine(&mut self.process) => examined?,
        }
        self.doubt = Doubt::default();
        self.heard = Instant::now();
        Ok(())
    }

    /// Kills a process that is broken; its calls were answered, and are not to blame.
    fn condemn(mut self, how: String) -> End {
        self.process.kill();
        self.release();
        for (_, call) in std::mem::take(&mut self.in_flight) {
            self.fleet.retry(call.job);
        }
        End::Died { how, has_answered: false }
    }

    fn settle(&mut self, mut call: InFlight, reply: Result<Reply, String>) {
        self.answered += 1;
        let took = call.since.elapsed().as_secs_f64();
        self.fleet.metrics.inference_duration.observe(took);
        self.fleet.quarantine.acquit(|| call.job.hash());
        let reply = reply.and_then(|reply| self.fleet.contract.check(reply));
        self.doubt.garbage = 0;
        self.doubt.failures = if reply.is_ok() { 0 } else { self.doubt.failures + 1 };
        self.doubt.is_grave |= self.doubt.failures >= DOUBTFUL_FAILURES;
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
    async fn mourn(mut self, death: Death) -> End {
        self.release();
        while let Some(spoken) = self.process.last_words().await {
            self.hear(spoken);
        }
        for (_, call) in std::mem::take(&mut self.in_flight) {
            if death.is_foreign {
                self.excuse(call.job, &death.how);
            } else {
                self.strike(call, &death.how);
            }
        }
        End::Died { how: death.how, has_answered: self.answered > 0 }
    }

    /// Tries a call again whose worker was killed from outside, which is suspect only if repeated.
    fn excuse(&self, mut job: Job, how: &str) {
        job.kills += 1;
        if job.kills > 1 {
            self.fleet.quarantine.strike(job.hash(), None);
        }
        if job.kills < MAX_KILLS {
            return self.fleet.retry(job);
        }
        let times = job.kills;
        let reason = format!("the worker {how} while it had this request, {times} times in a row");
        job.answer(Err(Failure::Failed(reason)));
    }

    fn strike(&self, call: InFlight, how: &str) {
        let InFlight { mut job, since, is_trial } = call;
        match self.fleet.quarantine.strike(job.hash(), is_trial.then_some(since)) {
            Standing::Poisonous => self.refuse(job),
            _ if job.is_retry => {
                let reason =
                    format!("the worker {how} while it had this request, as one did before");
                job.answer(Err(Failure::Failed(reason)));
            }
            _ => self.fleet.retry(job),
        }
    }

    fn refuse(&self, mut job: Job) {
        self.fleet.metrics.workers.poisoned.inc();
        let sentence = quarantine::refusal(job.hash());
        job.answer(Err(Failure::Poisonous(sentence)));
    }

    /// When the process has had one of its calls for too long; some time, where it has none.
    fn patience_ends(&self) -> Instant {
        let patience = self.fleet.limits.deadline;
        let ends = self.in_flight.values().map(|call| call.patience_ends(patience)).min();
        ends.unwrap_or_else(|| Instant::now() + patience)
    }

    /// Kills a process that has not answered a call whose deadline is over; its other calls are innocent.
    fn end_if_hung(&mut self) -> Option<End> {
        let patience = self.fleet.limits.deadline;
        let now = Instant::now();
        if !self.in_flight.values().any(|call| call.patience_ends(patience) <= now) {
            return None;
        }
        self.process.kill();
        let how = format!("was killed: it did not answer a request within {patience:?}");
        self.release();
        for (_, call) in std::mem::take(&mut self.in_flight) {
            if call.patience_ends(patience) <= now {
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
