//! How much one evaluation of an expression may do with the content's texts.
//!
//! Steps depend on no clock, nor on what other expressions do, so that a decision made again comes
//! out the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The steps for looking at texts: enough to look through the longest content once.
const LOOK_STEPS: u64 = 70_000;

/// The steps for all patterns together, of some ten nanoseconds at most: five milliseconds, whatever
/// the patterns and the texts.
const PATTERN_STEPS: u64 = 500_000;

/// What one evaluation may do; a copy is another hand on the same.
#[derive(Clone, Debug)]
pub(super) struct Work(Arc<Meter>);

#[derive(Debug)]
struct Meter {
    /// What is left for looking at texts. Patterns take none of it: what they do not decide, others
    /// still can.
    for_looks: AtomicU64,
    /// What each pattern has; each is searched for once.
    for_a_pattern: u64,
    /// Whether there were not enough for something.
    was_refused: AtomicBool,
}

impl Work {
    /// For an expression with so many patterns.
    pub(super) fn with_patterns(patterns: usize) -> Self {
        Self::of(LOOK_STEPS, PATTERN_STEPS / patterns.max(1) as u64)
    }

    /// So much for all looks, and so much for each pattern.
    pub(super) fn of(for_looks: u64, for_a_pattern: u64) -> Self {
        let for_looks = for_looks.into();
        Self(Arc::new(Meter { for_looks, for_a_pattern, was_refused: AtomicBool::default() }))
    }

    /// Whether there were not enough for all.
    pub(super) fn was_refused(&self) -> bool {
        self.0.was_refused.load(Ordering::Relaxed)
    }

    /// Pays for looking at a text. Where that is too much, what is left is for shorter ones.
    pub(super) fn look(&self, steps: usize) -> Result<(), Exhausted> {
        // An expression's parts are evaluated one after another: nobody else takes any meanwhile.
        let mut left = Steps(self.0.for_looks.load(Ordering::Relaxed));
        let taken = left.take(steps);
        self.0.for_looks.store(left.0, Ordering::Relaxed);
        self.note(taken)
    }

    /// Searches for a pattern, which takes steps as it goes on.
    pub(super) fn search<T>(
        &self,
        search: impl FnOnce(&mut Steps) -> Result<T, Exhausted>,
    ) -> Result<T, Exhausted> {
        self.note(search(&mut Steps(self.0.for_a_pattern)))
    }

    fn note<T>(&self, done: Result<T, Exhausted>) -> Result<T, Exhausted> {
        done.inspect_err(|_| self.0.was_refused.store(true, Ordering::Relaxed))
    }
}

/// Steps in hand.
#[derive(Debug)]
pub(super) struct Steps(u64);

impl Steps {
    /// Takes some; where there are not enough, none.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(Exhausted)?;
        Ok(())
    }
}

/// There are not as many steps left.
#[derive(Debug)]
pub(super) struct Exhausted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_is_used_up_for_all_looks_and_for_no_pattern() {
        let work = Work::of(10, 5);
        let other = work.clone();
        assert!(work.look(6).is_ok());
        assert!(!work.was_refused());
        assert!(other.look(5).is_err());
        assert!(work.was_refused());
        assert!(work.look(4).is_ok());
        assert!(work.look(1).is_err());
        for _ in 0..2 {
            assert!(work.search(|steps| steps.take(5)).is_ok());
            assert!(work.search(|steps| steps.take(6)).is_err());
        }
    }
}
