//! The random part: each distinct request is as likely to be drawn as any other.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::record::{Fingerprint, Record};

/// The distinct requests whose hashes, keyed by a seed, are the smallest: a draw without
/// repetition that takes one pass, and whose outcome depends on nothing but the seed.
pub(super) struct Draw {
    seed: u64,
    size: usize,
    kept: BTreeMap<[u8; 32], Record>,
}

impl Draw {
    /// Will draw so many requests.
    pub(super) fn new(seed: u64, size: usize) -> Self {
        Self { seed, size, kept: BTreeMap::new() }
    }

    /// Puts a record into the urn; of a request that was there before, the first record stays.
    pub(super) fn add(&mut self, fingerprint: Fingerprint, record: Record) {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(fingerprint.0);
        let rank: [u8; 32] = hash.finalize().into();
        let is_drawn = self.kept.len() < self.size
            || self.kept.last_key_value().is_some_and(|(last, _)| rank < *last);
        if is_drawn {
            self.kept.entry(rank).or_insert(record);
            if self.kept.len() > self.size {
                self.kept.pop_last();
            }
        }
    }

    /// The ids of the records that were drawn.
    pub(super) fn ids(&self) -> HashSet<&str> {
        self.kept.values().map(|record| record.id.as_str()).collect()
    }

    /// How many were drawn.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What was drawn, in an order that is random too: a sequential test may stop anywhere.
    pub(super) fn records(self) -> impl Iterator<Item = Record> {
        self.kept.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    /// Numbers of the requests that are drawn of a hundred, each of which comes twice.
    fn drawn(seed: u64, size: usize) -> Vec<String> {
        let mut draw = Draw::new(seed, size);
        for number in (0..100_u8).chain(0..100) {
            let id = number.to_string();
            draw.add(Fingerprint([number; 16]), record(&id, "spam", "a", "x"));
        }
        draw.records().map(|record| record.id).collect()
    }

    #[test]
    fn each_distinct_request_is_drawn_at_most_once() {
        let mut all = drawn(1, 1_000);
        assert_eq!(all.len(), 100);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 100);
        assert_eq!(drawn(1, 10).len(), 10);
        assert!(drawn(1, 0).is_empty());
    }

    #[test]
    fn a_seed_draws_the_same_and_another_draws_others() {
        assert_eq!(drawn(1, 10), drawn(1, 10));
        assert_ne!(drawn(1, 10), drawn(2, 10));
    }

    #[test]
    fn no_request_is_likelier_than_another() {
        let mut counts = BTreeMap::<String, u32>::new();
        for seed in 0..500 {
            for id in drawn(seed, 10) {
                *counts.entry(id).or_default() += 1;
            }
        }
        // Each is drawn 50 times on average, with a standard deviation of 6.7.
        assert_eq!(counts.len(), 100);
        assert!(counts.values().all(|count| (20..=80).contains(count)), "{counts:?}");
    }
}
