//! Counts durations by size, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds, in microseconds: from what a model in memory takes to the longest cold start.
pub(super) const BOUNDS_US: [u64; 18] = [
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    180_000_000,
];

/// Durations in microseconds, as CloudWatch has them.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// How many were at most as long as each bound and longer than the one before.
    buckets: [AtomicU64; BOUNDS_US.len()],
    /// How many there were.
    count: AtomicU64,
    /// How long they were together.
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub(super) fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(BOUNDS_US.partition_point(|bound| *bound < us)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// How many were at most as long as each bound.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let counts = self.buckets.iter().scan(0, |total, bucket| {
            *total += bucket.load(Relaxed);
            Some(*total)
        });
        BOUNDS_US.into_iter().zip(counts)
    }

    /// How many there were, and how long they were together.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.count.load(Relaxed), self.sum_us.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it_and_in_all_above() {
        let histogram = Histogram::default();
        for us in [200, 201, 500_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts[..2], [(200, 1), (500, 2)]);
        assert_eq!(counts[17], (180_000_000, 2));
        assert_eq!(histogram.totals(), (3, 500_000_401));
    }
}
