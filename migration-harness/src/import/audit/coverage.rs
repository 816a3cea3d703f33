//! When calls were captured and when not, whatever order they come in, with bounded memory.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// The stretches of time that are told apart at first.
const WIDTH_US: i64 = 60_000_000;
/// So many stretches are told apart; beyond that, neighbours become one.
const MAX_STRETCHES: usize = 100_000;

/// Of each stretch of time in which there were calls, the first and the last.
#[derive(Debug)]
pub(super) struct Coverage {
    width_us: i64,
    stretches: BTreeMap<i64, (i64, i64)>,
}

/// A time in which nothing was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// The last call before it.
    pub(super) from: Timestamp,
    /// The first call after it.
    pub(super) to: Timestamp,
}

impl Gap {
    /// How long it lasts.
    pub(super) fn length(&self) -> SignedDuration {
        self.to.duration_since(self.from)
    }
}

impl Coverage {
    /// Nothing yet; gaps as short as this will be found, unless calls stretch over a long time.
    pub(super) fn new(shortest_gap: SignedDuration) -> Self {
        let shortest_us = i64::try_from(shortest_gap.as_micros()).unwrap_or(i64::MAX);
        Self { width_us: shortest_us.clamp(1_000, WIDTH_US), stretches: BTreeMap::new() }
    }

    /// Adds a call.
    pub(super) fn add(&mut self, time: Timestamp) {
        let time = time.as_microsecond();
        self.put(time, time);
        while self.stretches.len() > MAX_STRETCHES {
            self.width_us *= 2;
            for (first, last) in std::mem::take(&mut self.stretches).into_values() {
                self.put(first, last);
            }
        }
    }

    /// The first and the last call.
    pub(super) fn span(&self) -> Option<Gap> {
        let (_, (first, _)) = self.stretches.first_key_value()?;
        let (_, (_, last)) = self.stretches.last_key_value()?;
        gap(*first, *last)
    }

    /// The times longer than this in which there were no calls, in order.
    pub(super) fn gaps(&self, longer_than: SignedDuration) -> Vec<Gap> {
        let pairs = self.stretches.values().zip(self.stretches.values().skip(1));
        let gaps = pairs.filter_map(|((_, from), (to, _))| gap(*from, *to));
        gaps.filter(|gap| gap.length() > longer_than).collect()
    }

    /// Gaps that are shorter may have been missed.
    pub(super) fn resolution(&self) -> SignedDuration {
        SignedDuration::from_micros(self.width_us)
    }

    fn put(&mut self, first: i64, last: i64) {
        let stretch =
            self.stretches.entry(first.div_euclid(self.width_us)).or_insert((first, last));
        *stretch = (stretch.0.min(first), stretch.1.max(last));
    }
}

/// Times in microseconds that came from timestamps are ones.
fn gap(from: i64, to: i64) -> Option<Gap> {
    let time = |microsecond| Timestamp::from_microsecond(microsecond).ok();
    Some(Gap { from: time(from)?, to: time(to)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn coverage(times: impl IntoIterator<Item = i64>, shortest: i64) -> Coverage {
        let mut coverage = Coverage::new(seconds(shortest));
        times.into_iter().for_each(|time| coverage.add(Timestamp::from_second(time).unwrap()));
        coverage
    }

    #[test]
    fn a_gap_is_found_in_whatever_order_calls_come() {
        let found = coverage([500, 0, 59, 380, 61, 130, -100], 60);
        let gaps: Vec<_> = found.gaps(seconds(60)).iter().map(|it| it.from.as_second()).collect();
        assert_eq!(gaps, [-100, 61, 130, 380]);
        assert_eq!(found.span().unwrap().length(), seconds(600));
        assert!(coverage([], 60).span().is_none());
    }

    #[test]
    fn calls_that_are_far_apart_take_no_more_memory_than_others() {
        let found = coverage((0..300_000).map(|hour| hour * 3600), 1);
        assert!(found.stretches.len() <= MAX_STRETCHES);
        assert_eq!(found.span().unwrap().length(), seconds(299_999 * 3600));
        assert!(found.resolution() > seconds(3600));
    }
}
