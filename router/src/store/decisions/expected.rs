//! How many decisions callers wait for, so that those that are made don't wait for others in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::Pending;

/// Counts the decisions that callers wait for, made or still to be made.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectations {
    count: Arc<AtomicUsize>,
}

/// One decision that a caller waits for; it is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Expected {
    all: Expectations,
}

/// The same once the decision is made: the caller waits for it to be kept.
#[derive(Debug)]
pub(crate) struct Awaited {
    since: Instant,
    _expected: Expected,
}

impl Expectations {
    pub(super) fn add(&self) -> Expected {
        self.count.fetch_add(1, Ordering::Relaxed);
        Expected { all: self.clone() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether half of them wait here to be kept, and half of as many as there were `before`:
    /// callers who were answered since may be about to ask for the next.
    pub(super) fn are_half_met(&self, made: &[Pending], before: usize) -> bool {
        let made = made.iter().filter(|pending| pending.caller.is_some()).count();
        made * 2 >= self.count().max(before)
    }
}

impl Expected {
    /// The decision is made, and the caller has waited `since` then.
    pub(crate) fn made(self, since: Instant) -> Awaited {
        Awaited { since, _expected: self }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.all.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Awaited {
    pub(super) fn since(&self) -> Instant {
        self.since
    }
}
