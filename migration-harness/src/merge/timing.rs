//! Sums up how long the calls of several shards took.

use std::collections::BTreeMap;

use crate::report::{Latencies, Timing};

/// The timing of shards that ran side by side; none where there is none.
pub(super) fn merged(parts: &[&Timing]) -> Option<Timing> {
    if parts.is_empty() {
        return None;
    }
    let mut statuses = BTreeMap::new();
    for (status, answers) in parts.iter().flat_map(|part| &part.statuses) {
        *statuses.entry(*status).or_default() += answers;
    }
    let of = |which: fn(&Timing) -> &Latencies| latencies(parts.iter().map(|part| which(part)));
    let captured: Vec<_> = parts.iter().filter_map(|part| part.captured.as_ref()).collect();
    Some(Timing {
        seconds: parts.iter().map(|part| part.seconds).fold(0.0, f64::max),
        rate: parts.iter().map(|part| part.rate).sum(),
        service: of(|part| &part.service),
        response: of(|part| &part.response),
        lateness: of(|part| &part.lateness),
        captured: (!captured.is_empty()).then(|| latencies(captured.into_iter())),
        statuses,
    })
}

/// The timing of two runs of which one began when the other had ended.
pub(crate) fn one_after_the_other(first: &Timing, second: &Timing) -> Timing {
    let seconds = first.seconds + second.seconds;
    let merged = merged(&[first, second]).unwrap_or_else(|| second.clone());
    let rate = if seconds > 0.0 { merged.service.count as f64 / seconds } else { 0.0 };
    Timing { seconds, rate, ..merged }
}

fn latencies<'a>(parts: impl Iterator<Item = &'a Latencies> + Clone) -> Latencies {
    let mut buckets = BTreeMap::new();
    for (end, count) in parts.clone().flat_map(|part| &part.buckets) {
        *buckets.entry(*end).or_default() += count;
    }
    let count = parts.clone().map(|part| part.count).sum();
    let max_us = parts.clone().map(|part| part.max_us).max().unwrap_or(0);
    let sum_us: f64 = parts.map(|part| part.mean_us * part.count as f64).sum();
    let quantile = |share| quantile(&buckets, share).min(max_us);
    Latencies {
        count,
        mean_us: if count == 0 { 0.0 } else { sum_us / count as f64 },
        p50_us: quantile(0.5),
        p90_us: quantile(0.9),
        p99_us: quantile(0.99),
        p999_us: quantile(0.999),
        max_us,
        buckets: buckets.into_iter().collect(),
    }
}

/// The end of the bucket in which the share is reached.
fn quantile(buckets: &BTreeMap<u64, u64>, share: f64) -> u64 {
    let all: u64 = buckets.values().sum();
    let mut below = 0;
    let reached = buckets.iter().find(|(_, count)| {
        below += **count;
        below as f64 >= share * all as f64
    });
    reached.map_or(0, |(end, _)| *end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(buckets: &[(u64, u64)], mean_us: f64) -> Timing {
        let count = buckets.iter().map(|bucket| bucket.1).sum();
        let max_us = buckets.iter().map(|bucket| bucket.0).max().unwrap() - 1;
        let service =
            Latencies { count, mean_us, max_us, buckets: buckets.to_vec(), ..Latencies::default() };
        Timing {
            seconds: 2.0,
            rate: count as f64 / 2.0,
            response: service.clone(),
            service,
            lateness: Latencies::default(),
            captured: None,
            statuses: BTreeMap::from([(200, count)]),
        }
    }

    #[test]
    fn shards_that_ran_side_by_side_make_one_distribution() {
        let (one, other) =
            (part(&[(100, 90), (200, 10)], 100.0), part(&[(100, 96), (1_000, 4)], 50.0));
        let merged = merged(&[&one, &other]).unwrap();
        assert_eq!((merged.seconds, merged.rate, merged.statuses[&200]), (2.0, 100.0, 200));
        let service = merged.service;
        assert_eq!((service.count, service.mean_us, service.max_us), (200, 75.0, 999));
        assert_eq!((service.p50_us, service.p99_us, service.p999_us), (100, 999, 999));
        assert_eq!((service.p90_us, service.buckets.len()), (100, 3));
        assert!(merged.captured.is_none() && super::merged(&[]).is_none());
    }
}
