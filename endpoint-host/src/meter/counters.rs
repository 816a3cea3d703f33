//! The numbers of one variant.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::histogram::Histogram;
use crate::pool::Pool;

/// What is counted of one variant; all durations in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Calls that were taken.
    pub(super) invocations: AtomicU64,
    /// Calls that the model answered with 4xx.
    pub(super) errors_4xx: AtomicU64,
    /// Calls that the model answered with 5xx.
    pub(super) errors_5xx: AtomicU64,
    /// Calls that the model did not answer with 2xx, or at all.
    pub(super) model_errors: AtomicU64,
    /// Calls that were refused because too many were in flight.
    pub(super) throttles: AtomicU64,
    /// Calls that should have been captured and were not.
    pub(super) captures_dropped: AtomicU64,
    /// Copies that a shadow variant should have got and did not.
    pub(super) copies_dropped: AtomicU64,
    /// How long the container took.
    pub(super) model_latency: Histogram,
    /// How long the host took beside it.
    pub(super) overhead_latency: Histogram,
    /// How long calls waited for a container to start.
    pub(super) setup_time: Histogram,
    /// Where the variant's containers run: one pool, and during an update two.
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// How a call ended, as far as the model goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It answered with this status.
    Answered(u16),
    /// It gave no whole answer.
    #[default]
    Broken,
    /// Its caller left, or no container was there for it in time: the model is not to blame.
    Excused,
}

/// How a call went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// How it ended.
    pub(crate) ending: Ending,
    /// From the call's arrival to its answer.
    pub(crate) total: Duration,
    /// What the container took of it, if the call reached one.
    pub(crate) model: Option<Duration>,
    /// What the start of a container took of it, if there was one.
    pub(crate) setup: Option<Duration>,
}

impl Counters {
    /// Counts a call that was taken.
    pub(crate) fn served(&self, served: &Served) {
        self.invocations.fetch_add(1, Relaxed);
        let model = served.model.unwrap_or_default();
        self.overhead_latency.observe(served.total.saturating_sub(model));
        if let Some(model) = served.model {
            self.model_latency.observe(model);
        }
        if let Some(setup) = served.setup {
            self.setup_time.observe(setup);
        }
        match served.ending {
            Ending::Answered(200..300) | Ending::Excused => return,
            Ending::Answered(400..500) => self.errors_4xx.fetch_add(1, Relaxed),
            Ending::Answered(500..600) => self.errors_5xx.fetch_add(1, Relaxed),
            Ending::Answered(_) | Ending::Broken => 0,
        };
        self.model_errors.fetch_add(1, Relaxed);
    }

    /// Counts a call that was refused because too many were in flight.
    pub(crate) fn throttled(&self) {
        self.throttles.fetch_add(1, Relaxed);
    }

    /// Counts a call that could not be captured.
    pub(crate) fn capture_dropped(&self) {
        self.captures_dropped.fetch_add(1, Relaxed);
    }

    /// Counts a copy that a shadow variant did not get.
    pub(crate) fn copy_dropped(&self) {
        self.copies_dropped.fetch_add(1, Relaxed);
    }

    /// The calls that could not be captured.
    #[cfg(test)]
    pub(crate) fn captures_dropped(&self) -> u64 {
        self.captures_dropped.load(Relaxed)
    }

    /// Shows the containers of a pool as well.
    pub(super) fn watch(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// The pools in which containers may run now.
    pub(super) fn pools(&self) -> Vec<Arc<Pool>> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).collect()
    }
}
