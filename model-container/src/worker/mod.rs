//! Models that run in processes of their own, in any language, behind lines of JSON.
//!
//! A package's `command` is started several times ([`Options`]). Every process must answer the
//! package's canaries rightly before it gets calls, and again each time it is started anew. A
//! process that ends is replaced after a pause that grows with each failure; one that does not
//! answer within the deadline is killed with all that it started; one that outgrows its memory is
//! replaced without a gap. One that fails several calls in a row, prints what is no reply while it
//! has calls, or was idle for a while is asked the canaries again. A call whose process dies is tried once more, alone; if that one dies
//! too, the request is refused as poisonous for a while.
//!
//! Health is read from what the supervisors noted, so it is there at once however busy they are.

mod board;
mod call;
mod contract;
mod counters;
mod fleet;
mod group;
mod options;
mod probe;
mod process;
mod quarantine;
mod queue;
mod runner;
mod shipped;
mod supervisor;
mod wire;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::package::Package;
use call::Job;
use fleet::Fleet;
use quarantine::Standing;

pub(crate) use call::{Call, Failure, Reply};
pub(crate) use counters::Counters;
pub use options::Options;

/// The scores in one line that a worker printed, as the container understands it.
///
/// # Errors
/// A sentence about what is not of the line protocol, or the worker's own error.
pub fn scores(line: &[u8]) -> Result<Vec<(String, f64)>, String> {
    match wire::parse(line) {
        wire::Spoken::Reply { reply: Ok(Reply::Scores(scores)), .. } => Ok(scores),
        wire::Spoken::Reply { reply: Ok(Reply::Raw { .. }), .. } => {
            Err("it answers a call with bytes of its own".to_owned())
        }
        wire::Spoken::Reply { reply: Err(reason), .. } | wire::Spoken::Garbage(reason) => {
            Err(reason)
        }
    }
}

/// The supervised processes of one worker package.
pub(crate) struct Workers {
    fleet: Arc<Fleet>,
}

impl Workers {
    /// Starts the package's processes and waits until one of them has passed the canaries.
    ///
    /// # Errors
    /// When the package is not of the documented form, or every process failed at its start.
    pub(crate) async fn start(
        package: &Package,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let fleet = Fleet::new(package, limits, metrics).map_err(|reason| package.fault(reason))?;
        let workers = Self { fleet: Arc::new(fleet) };
        for worker in 0..workers.fleet.options.processes.get() {
            let fleet = Arc::clone(&workers.fleet);
            workers.fleet.tasks.spawn(supervisor::supervise(fleet, worker));
        }
        match workers.fleet.board.first().await {
            Ok(()) => Ok(workers),
            Err(how) => {
                workers.stop().await;
                let model = package.manifest.name.clone();
                Err(Error::Model { model, reason: format!("its worker {how}") })
            }
        }
    }

    /// Has one of the processes answer; the caller may stop waiting at any time.
    pub(crate) async fn call(&self, call: Call, deadline: Instant) -> Result<Reply, Failure> {
        let fleet = &self.fleet;
        if fleet.stop.is_cancelled() {
            return Err(stopped());
        }
        let (job, mut ticket) = Job::new(call, deadline);
        if fleet.quarantine.standing(|| job.hash()) == Standing::Poisonous {
            fleet.metrics.workers.poisoned.inc();
            return Err(Failure::Poisonous(quarantine::refusal(job.hash())));
        }
        if let Some(reason) = fleet.board.outage() {
            return Err(Failure::Down(reason));
        }
        fleet.queue.push(job).map_err(|_| Failure::Full)?;
        match timeout_at(deadline, &mut ticket.answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(stopped())),
            Err(_) if ticket.has_started() => {
                Err(Failure::Failed("the worker did not answer by the deadline".to_owned()))
            }
            Err(_) => Err(Failure::Late),
        }
    }

    /// The labels, in the order of the scores; a raw worker may have none.
    pub(crate) fn labels(&self) -> &[String] {
        self.fleet.contract.labels.as_deref().unwrap_or_default()
    }

    /// Whether requests go to the processes as bytes.
    pub(crate) fn is_raw(&self) -> bool {
        self.fleet.contract.is_raw
    }

    /// How many calls the processes can have at once.
    pub(crate) fn places(&self) -> usize {
        let Options { processes, concurrency, .. } = &self.fleet.options;
        processes.saturating_mul(*concurrency).get()
    }

    /// Whether at least one process runs and passed its canaries, or why none does.
    ///
    /// # Errors
    /// A sentence with the reason.
    pub(crate) fn health(&self) -> Result<(), String> {
        self.fleet.board.health()
    }

    /// Ends every process and waits until it has ended.
    pub(crate) async fn stop(&self) {
        self.fleet.stop.cancel();
        self.fleet.queue.clear();
        self.fleet.tasks.close();
        self.fleet.tasks.wait().await;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.fleet.stop.cancel();
    }
}

fn stopped() -> Failure {
    Failure::Failed("the workers are being stopped".to_owned())
}
