//! How long calls took, in histograms that take little memory however many calls there are.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use jiff::Timestamp;

use super::answers::Outcome;
use crate::record::Reply;
use crate::report::{Latencies, Timing};

/// Three digits of each time are kept, up to this many microseconds; longer ones count as this.
const LONGEST_US: u64 = 7 * 24 * 3600 * 1_000_000;

/// The times of all calls of a replay, whichever of its runs made them.
#[derive(Debug)]
pub(crate) struct Times {
    service: Histogram<u64>,
    response: Histogram<u64>,
    lateness: Histogram<u64>,
    captured: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    /// When each run began, and when its last call ended.
    runs: Vec<(Timestamp, Timestamp)>,
}

impl Times {
    /// Of a replay with runs that began then.
    pub(crate) fn new(runs: &[Timestamp]) -> Self {
        let histogram =
            || Histogram::new_with_max(LONGEST_US, 3).expect("a week has more than three digits");
        Self {
            service: histogram(),
            response: histogram(),
            lateness: histogram(),
            captured: histogram(),
            statuses: BTreeMap::new(),
            runs: runs.iter().map(|begun| (*begun, *begun)).collect(),
        }
    }

    /// Counts one call, and what it took when it was captured.
    pub(crate) fn add(&mut self, outcome: &Outcome, captured: &Reply) {
        let latency_us = outcome.reply.latency_us.unwrap_or_default();
        self.service.saturating_record(latency_us);
        self.response.saturating_record(latency_us.saturating_add(outcome.lateness_us));
        self.lateness.saturating_record(outcome.lateness_us);
        if let Some(latency_us) = captured.latency_us {
            self.captured.saturating_record(latency_us);
        }
        if let Ok(answer) = &outcome.reply.answer {
            *self.statuses.entry(answer.status).or_default() += 1;
        }
        let ended = outcome.sent_at.checked_add(Duration::from_micros(latency_us));
        self.extend(outcome.sent_at, ended.unwrap_or(outcome.sent_at));
    }

    fn extend(&mut self, sent_at: Timestamp, ended_at: Timestamp) {
        let later = self.runs.partition_point(|(begun, _)| *begun <= sent_at);
        if let Some((_, end)) = self.runs.get_mut(later.saturating_sub(1)) {
            *end = ended_at.max(*end);
        }
    }

    /// What is told of them.
    pub(crate) fn sum_up(&self) -> Timing {
        let run = |(begun, end): &(Timestamp, Timestamp)| end.duration_since(*begun).as_secs_f64();
        let seconds: f64 = self.runs.iter().map(run).sum();
        let calls = self.service.len() as f64;
        Timing {
            seconds,
            rate: if seconds > 0.0 { calls / seconds } else { 0.0 },
            service: latencies(&self.service),
            response: latencies(&self.response),
            lateness: latencies(&self.lateness),
            captured: (!self.captured.is_empty()).then(|| latencies(&self.captured)),
            statuses: self.statuses.clone(),
        }
    }
}

fn latencies(times: &Histogram<u64>) -> Latencies {
    Latencies {
        count: times.len(),
        mean_us: times.mean(),
        p50_us: times.value_at_quantile(0.5),
        p90_us: times.value_at_quantile(0.9),
        p99_us: times.value_at_quantile(0.99),
        p999_us: times.value_at_quantile(0.999),
        max_us: times.max(),
        buckets: buckets(times),
    }
}

/// Each is a fifth wider than the last, and none is empty.
fn buckets(times: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut buckets: Vec<(u64, u64)> = Vec::new();
    let mut end = 1;
    for step in times.iter_recorded() {
        let (value, count) = (step.value_iterated_to(), step.count_since_last_iteration());
        while end < value {
            end = (end + 1).max(end.saturating_mul(6) / 5);
        }
        match buckets.last_mut() {
            Some((last, counted)) if *last == end => *counted += count,
            _ => buckets.push((end, count)),
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Answer;

    fn at(microsecond: i64) -> Timestamp {
        Timestamp::from_microsecond(microsecond).unwrap()
    }

    fn outcome(sent_us: i64, latency_us: u64, lateness_us: u64) -> Outcome {
        let answer =
            Answer { status: 200, content_type: None, headers: BTreeMap::new(), body: "".into() };
        let reply = Reply { answer: Ok(answer), latency_us: Some(latency_us) };
        Outcome { reply, sent_at: at(sent_us), lateness_us }
    }

    #[test]
    fn a_late_call_is_as_slow_to_its_caller_as_it_was_late() {
        let mut times = Times::new(&[at(0)]);
        let old = outcome(0, 50, 0).reply;
        times.add(&outcome(0, 100, 0), &old);
        times.add(&outcome(500_000, 100, 900), &old);
        let timing = times.sum_up();
        assert_eq!((timing.service.max_us, timing.response.max_us), (100, 1000));
        assert_eq!((timing.lateness.p50_us, timing.lateness.max_us), (0, 900));
        assert_eq!(timing.captured.unwrap().p99_us, 50);
        assert_eq!(timing.statuses, [(200, 2)].into());
        assert_eq!(timing.response.buckets, [(105, 1), (1111, 1)]);
    }

    #[test]
    fn breaks_between_runs_are_no_time_in_which_calls_were_made() {
        let mut times = Times::new(&[at(0), at(60_000_000)]);
        let old = outcome(0, 50, 0).reply;
        for sent_us in [500_000, 900_000, 60_500_000] {
            times.add(&outcome(sent_us, 100_000, 0), &old);
        }
        let timing = times.sum_up();
        assert!((timing.seconds - 1.6).abs() < 1e-9, "{}", timing.seconds);
        assert!((timing.rate - 3.0 / 1.6).abs() < 1e-9);
    }
}
