//! How long an endpoint's last answers took.

use std::time::Duration;

/// How many answers are looked at.
const KEPT: usize = 256;
/// With fewer, nothing is said.
const ENOUGH: usize = 50;
/// After so many new answers the quantiles are looked up anew.
const RENEW: usize = 32;

/// The last answers' times, and their quantiles.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    micros: Vec<u32>,
    next: usize,
    /// How many have come since the quantiles were looked up.
    news: usize,
    known: Option<Quantiles>,
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
        if self.micros.len() < KEPT {
            self.micros.push(micros);
        } else {
            self.micros[self.next] = micros;
            self.next = (self.next + 1) % KEPT;
        }
        self.news += 1;
        let is_due = self.known.is_none() || self.news >= RENEW;
        if is_due && self.micros.len() >= ENOUGH {
            self.known = Some(quantiles(self.micros.clone()));
            self.news = 0;
        }
    }

    /// The quantiles, once enough answers have come.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        self.known
    }
}

fn quantiles(mut micros: Vec<u32>) -> Quantiles {
    micros.sort_unstable();
    let at = |percent: usize| {
        let index = (micros.len() * percent).div_ceil(100).saturating_sub(1);
        Duration::from_micros(micros[index].into())
    };
    Quantiles { p50: at(50), p95: at(95), p99: at(99) }
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
        (0..RENEW).for_each(|_| latencies.note(millis(1)));
        let quantiles = latencies.quantiles().unwrap();
        assert!(quantiles.p50 < quantiles.p95 && quantiles.p99 <= millis(100), "{quantiles:?}");
        (0..KEPT).for_each(|_| latencies.note(millis(7)));
        let expected = Quantiles { p50: millis(7), p95: millis(7), p99: millis(7) };
        assert_eq!(latencies.quantiles(), Some(expected));
    }
}
