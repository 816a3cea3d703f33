//! What a watch counts, as Prometheus reads it.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use crate::capture::BOUNDS;
use crate::outcome::Outcome;
use crate::record::{Record, Reply};
use crate::report::Report;
use crate::tally::{Group, OTHERS};
use crate::verdict::{GroupVerdict, Verdict};

/// How many models and clients have series of their own.
const MAX_GROUPS: usize = 500;

type Ratio = Gauge<f64, AtomicU64>;

/// Why a call that was drawn is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Missed {
    /// Too many waited already.
    Behind,
    /// It was cut, or had no whole answer.
    Incomplete,
    /// There was no connection to the target.
    Unreachable,
    /// The target can't be sent such a call.
    Unsendable,
    /// The proxy had no room to copy it.
    Uncopied,
    /// The disk took no more.
    Disk,
    /// The watch was stopped.
    Stopped,
}

impl Missed {
    const ALL: [Self; 7] = [
        Self::Behind,
        Self::Incomplete,
        Self::Unreachable,
        Self::Unsendable,
        Self::Uncopied,
        Self::Disk,
        Self::Stopped,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Incomplete => "incomplete",
            Self::Unreachable => "unreachable",
            Self::Unsendable => "unsendable",
            Self::Uncopied => "uncopied",
            Self::Disk => "disk",
            Self::Stopped => "stopped",
        }
    }

    /// Why it was not compared.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Behind => "the target was slower than the calls came",
            Self::Incomplete => "they had no whole request or answer",
            Self::Unreachable => "the target let nobody connect",
            Self::Unsendable => "they can't be sent to the target",
            Self::Uncopied => "the proxy had no room to copy them",
            Self::Disk => "the disk took no more",
            Self::Stopped => "the watch was stopped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    model: String,
    client: String,
}

/// The counts of one watch.
#[derive(Debug)]
pub(super) struct Metrics {
    missed: Family<Reason, Counter>,
    unanswered: Counter,
    records: Family<Of, Counter>,
    mismatches: Family<Of, Counter>,
    group_bound: Family<Of, Ratio>,
    bound: Ratio,
    outcome: Family<Named, Gauge>,
    distinct: Gauge,
    reported: Ratio,
    target: Histogram,
    upstream: Histogram,
    /// Those with series of their own.
    told_apart: Mutex<HashSet<Group>>,
    /// How many records were to be compared since the start.
    accepted: AtomicU64,
    /// Those of them that never will be.
    given_up: AtomicU64,
}

impl Metrics {
    /// All at zero, where they are to be found as text.
    pub(super) fn new(counts: &mut Registry) -> Self {
        let metrics = Self {
            missed: Family::default(),
            unanswered: Counter::default(),
            records: Family::default(),
            mismatches: Family::default(),
            group_bound: Family::default(),
            bound: Ratio::default(),
            outcome: Family::default(),
            distinct: Gauge::default(),
            reported: Ratio::default(),
            target: Histogram::new(BOUNDS),
            upstream: Histogram::new(BOUNDS),
            told_apart: Mutex::default(),
            accepted: AtomicU64::default(),
            given_up: AtomicU64::default(),
        };
        Missed::ALL.into_iter().for_each(|why| metrics.miss_all(why, 0));
        metrics.register(counts.sub_registry_with_prefix("parity_watch"));
        metrics
    }

    fn register(&self, counts: &mut Registry) {
        counts.register("records", "Calls that were compared", self.records.clone());
        let help = "Compared calls that differ in what nothing permits";
        counts.register("mismatches", help, self.mismatches.clone());
        let help = "Calls that were drawn and not compared";
        counts.register("missed", help, self.missed.clone());
        let help = "Calls that the target took and gave no whole answer to";
        counts.register("target_failures", help, self.unanswered.clone());
        let help = "From a call to the target to the end of its answer";
        counts.register("target_duration_seconds", help, self.target.clone());
        let help = "The same of the upstream, for the same calls";
        counts.register("upstream_duration_seconds", help, self.upstream.clone());
        let help = "The largest rate of mismatches that remains possible, as last reported";
        counts.register("mismatch_bound_ratio", help, self.bound.clone());
        let help = "The same of one model and client";
        counts.register("group_mismatch_bound_ratio", help, self.group_bound.clone());
        let help = "1 for the outcome as last reported, 0 for the others";
        counts.register("outcome", help, self.outcome.clone());
        let help = "Distinct requests, as last reported";
        counts.register("distinct_requests", help, self.distinct.clone());
        let help = "When the report was last written";
        counts.register("report_timestamp_seconds", help, self.reported.clone());
    }

    /// A record is to be compared.
    pub(super) fn accept(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// A call won't be compared.
    pub(super) fn miss(&self, why: Missed) {
        if matches!(why, Missed::Unreachable | Missed::Unsendable | Missed::Disk) {
            self.given_up.fetch_add(1, Relaxed);
        }
        self.miss_all(why, 1);
    }

    /// So many calls won't be compared.
    pub(super) fn miss_all(&self, why: Missed, calls: u64) {
        self.missed.get_or_create(&Reason { reason: why.name() }).inc_by(calls);
    }

    /// Nothing waits any more, so what wasn't compared since the start won't be.
    pub(super) fn miss_rest(&self, compared: u64) {
        let settled = compared + self.given_up.load(Relaxed);
        self.miss_all(Missed::Stopped, self.accepted.load(Relaxed).saturating_sub(settled));
    }

    /// How many calls were not compared, by reason.
    pub(super) fn missed(&self) -> BTreeMap<Missed, u64> {
        let calls = |why: Missed| self.missed.get_or_create(&Reason { reason: why.name() }).get();
        Missed::ALL.into_iter().map(|why| (why, calls(why))).collect()
    }

    /// Goes on counting where an earlier watch has ended.
    pub(super) fn resume_missed(&self, missed: &BTreeMap<Missed, u64>) {
        missed.iter().for_each(|(why, calls)| self.miss_all(*why, *calls));
    }

    /// The same for what it has compared.
    pub(super) fn resume(&self, verdict: &Verdict) {
        for GroupVerdict { model, client, records, mismatches, .. } in &verdict.groups {
            let of = self.series(model, client.as_deref());
            self.records.get_or_create(&of).inc_by(*records);
            self.mismatches.get_or_create(&of).inc_by(*mismatches);
        }
    }

    /// A record was compared.
    pub(super) fn compare(&self, record: &Record, new: &Reply, is_mismatch: bool) {
        let of = self.series(&record.model, record.client.as_deref());
        self.records.get_or_create(&of).inc();
        self.mismatches.get_or_create(&of).inc_by(u64::from(is_mismatch));
        if new.answer.is_err() {
            self.unanswered.inc();
        }
        for (histogram, reply) in [(&self.target, new), (&self.upstream, &record.reply)] {
            if let Some(latency_us) = reply.latency_us {
                histogram.observe(Duration::from_micros(latency_us).as_secs_f64());
            }
        }
    }

    /// A report was written.
    pub(super) fn show(&self, report: &Report) {
        let verdict = &report.verdict;
        self.bound.set(verdict.bound.mismatch_rate);
        self.reported.set(report.run.finished_at.as_microsecond() as f64 / 1e6);
        for outcome in [Outcome::Parity, Outcome::Unproven, Outcome::Broken] {
            let gauge = self.outcome.get_or_create(&Named { outcome: outcome.name() });
            gauge.set(i64::from(outcome == verdict.outcome));
        }
        self.show_groups(&verdict.groups);
        self.distinct.set(i64::try_from(verdict.distinct).unwrap_or(i64::MAX));
    }

    /// Of groups without series of their own, the worst counts.
    fn show_groups(&self, groups: &[GroupVerdict]) {
        let mut others: Option<f64> = None;
        for GroupVerdict { model, client, mismatch_rate, .. } in groups {
            let of = self.series(model, client.as_deref());
            if of.model == OTHERS {
                others = Some(others.unwrap_or_default().max(*mismatch_rate));
                self.group_bound.get_or_create(&of).set(others.unwrap_or_default());
            } else {
                self.group_bound.get_or_create(&of).set(*mismatch_rate);
            }
        }
    }

    fn series(&self, model: &str, client: Option<&str>) -> Of {
        let group = Group { model: model.to_owned(), client: client.map(str::to_owned) };
        let mut told_apart = self.told_apart.lock().unwrap_or_else(PoisonError::into_inner);
        if !told_apart.contains(&group) {
            if told_apart.len() >= MAX_GROUPS {
                return Of { model: OTHERS.to_owned(), client: String::new() };
            }
            told_apart.insert(group.clone());
        }
        Of { model: group.model, client: group.client.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    #[test]
    fn models_and_clients_that_nobody_could_look_at_share_a_series() {
        let mut counts = Registry::default();
        let metrics = Metrics::new(&mut counts);
        for number in 0..MAX_GROUPS + 7 {
            let record = record("1", "spam", &format!("client \"{number}\"\n"), "x");
            metrics.compare(&record, &record.reply, false);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &counts).unwrap();
        let series = text.lines().filter(|line| line.starts_with("parity_watch_records_total{"));
        assert_eq!(series.count(), MAX_GROUPS + 1);
        assert!(text.contains("{model=\"…and others\",client=\"\"} 7\n"), "{text}");
        assert!(text.contains("client=\"client \\\"0\\\"\\n\"} 1\n"), "{text}");
    }

    #[test]
    fn what_waited_when_the_watch_ended_was_missed() {
        let metrics = Metrics::new(&mut Registry::default());
        (0..10).for_each(|_| metrics.accept());
        metrics.miss(Missed::Unreachable);
        metrics.miss(Missed::Behind);
        metrics.miss_rest(6);
        assert_eq!(metrics.missed()[&Missed::Stopped], 3);
    }
}
