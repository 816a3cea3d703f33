//! How long an endpoint's last answers took.

use std::collections::VecDeque;
use std::time::Duration;

/// How many answers are looked at.
const KEPT: usize = 256;
/// With fewer, nothing is said.
const ENOUGH: usize = 50;

/// The last answers' times in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// As they came,
    last: VecDeque<u32>,
    /// and by their length.
    sorted: Vec<u32>,
}

/// Quantiles of the last answers' times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantiles {
    /// Half of the answers took no longer.
    pub(crate) p50: Duration,
    /// 95 of 100 took no longer.
    pub(crate) p95: Duration,
    /// 99 of 100 took no longer.
    pub(crate) p99: Duration,
}

impl Latencies {
    /// Takes in one more answer.
    pub(crate) fn note(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        if let Some(first) = self.last.pop_front_if(|_| self.sorted.len() == KEPT) {
            self.sorted.remove(self.place_of(first));
        }
        self.last.push_back(micros);
        self.sorted.insert(self.place_of(micros), micros);
    }

    /// The quantiles, once enough answers have come.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        let at = |percent: usize| {
            let index = (self.sorted.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_micros(self.sorted[index].into())
        };
        (self.sorted.len() >= ENOUGH).then(|| Quantiles { p50: at(50), p95: at(95), p99: at(99) })
    }

    /// Where the first of these is among those that are sorted, or would be.
    fn place_of(&self, micros: u32) -> usize {
        self.sorted.partition_point(|other| *other < micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_last_answers() {
        let mut latencies = Latencies::default();
        let millis = Duration::from_millis;
        (1..50).for_each(|ms| latencies.note(millis(ms)));
        assert_eq!(latencies.quantiles(), None);
        (50..=100).for_each(|ms| latencies.note(millis(ms)));
        (0..32).for_each(|_| latencies.note(millis(1)));
        let quantiles = latencies.quantiles().unwrap();
        assert!(quantiles.p50 < quantiles.p95 && quantiles.p99 <= millis(100), "{quantiles:?}");
        (0..KEPT).for_each(|_| latencies.note(millis(7)));
        let expected = Quantiles { p50: millis(7), p95: millis(7), p99: millis(7) };
        assert_eq!(latencies.quantiles(), Some(expected));
    }

    #[test]
    fn whatever_comes_the_last_answers_are_there_by_their_length() {
        let (mut latencies, mut all) = (Latencies::default(), Vec::new());
        for n in 0..4 * KEPT as u64 {
            let micros = n * n * 7919 % 97;
            latencies.note(Duration::from_micros(micros));
            all.push(micros);
            let mut last = all[all.len().saturating_sub(KEPT)..].to_vec();
            last.sort_unstable();
            assert!(latencies.sorted.iter().map(|micros| u64::from(*micros)).eq(last));
        }
    }
}
