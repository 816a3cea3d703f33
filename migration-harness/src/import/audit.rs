//! What is odd about the records that were imported.

mod coverage;
mod ledger;
mod findings;

use std::collections::BTreeMap;
use std::path::Path;

use hdrhistogram::Histogram;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::record::{Fingerprint, Record};
use coverage::Coverage;
use ledger::Ledger;

use findings::Group;
pub(super) use findings::{Findings, printable};
pub(super) use ledger::Repeats;

/// So many groups and reasons are counted by themselves; further ones together.
const MAX_NAMES: usize = 10_000;
/// Fields that say that a record stands for several calls.
const SAMPLED: [&str; 4] = ["sample_weight", "sample_rate", "sampling_rate", "sampled"];
/// Gaps are at least so long, unless the user says otherwise.
const SHORTEST_GAP: SignedDuration = SignedDuration::from_secs(60);

/// Counts what there is, while records pass by.
#[derive(Debug)]
pub(super) struct Audit {
    /// The ids, to find those that come again.
    ids: Ledger,
    /// The fingerprints of the requests, the same.
    requests: Ledger,
    gap: Option<SignedDuration>,
    records: u64,
    groups: BTreeMap<Group, u64>,
    coverage: Coverage,
    clock: Clock,
    unanswered: BTreeMap<String, u64>,
    statuses: BTreeMap<u16, u64>,
    numbers: Numbers,
    sampled: u64,
}

impl Audit {
    /// Begins. What doesn't fit into memory goes to `folder`; `gap` is the longest time without a
    /// call that is nothing to speak of.
    pub(super) fn new(folder: &Path, gap: Option<SignedDuration>) -> Self {
        Self {
            ids: Ledger::new(folder.join("ids")),
            requests: Ledger::new(folder.join("requests")),
            gap,
            records: 0,
            groups: BTreeMap::new(),
            coverage: Coverage::new(gap.unwrap_or(SHORTEST_GAP)),
            clock: Clock::default(),
            unanswered: BTreeMap::new(),
            statuses: BTreeMap::new(),
            numbers: Numbers::default(),
            sampled: 0,
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), Error> {
        self.records += 1;
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(&record.id)[..16]);
        self.ids.add(id)?;
        self.requests.add(Fingerprint::of(&record.model, &record.request).0)?;
        let group = Group { model: record.model.clone(), client: record.client.clone() };
        count(&mut self.groups, group, Group::others);
        self.coverage.add(record.captured_at);
        self.clock.add(record.captured_at);
        self.numbers.add(&record.id);
        self.sampled += u64::from(SAMPLED.iter().any(|name| record.unknown.contains_key(*name)));
        match &record.reply.answer {
            Ok(answer) => *self.statuses.entry(answer.status).or_default() += 1,
            Err(reason) => count(&mut self.unanswered, reason.clone(), || "others".to_owned()),
        }
        Ok(())
    }

    /// Sums up; the ids that came again are given by the numbers of their records.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub(super) fn finish(self) -> Result<(Findings, Repeats), Error> {
        let (ids, requests) = (self.ids.repeats()?, self.requests.repeats()?);
        let longer_than = self.gap.unwrap_or_else(|| self.clock.usual_gap());
        let resolution = self.coverage.resolution();
        let findings = Findings {
            records: self.records,
            groups: self.groups,
            span: self.coverage.span().map(Into::into),
            gaps: findings::Gaps::of(longer_than, resolution, self.coverage.gaps(longer_than)),
            clock: self.clock.into(),
            duplicate_ids: ids.count,
            distinct_requests: self.records - requests.count,
            unanswered: self.unanswered,
            statuses: self.statuses,
            hints: self
                .numbers
                .hint(self.records)
                .into_iter()
                .chain(sampled(self.sampled))
                .collect(),
        };
        Ok((findings, ids))
    }
}

/// Counts one of a name; as one of the others, once there are too many names.
fn count<N: Ord>(counts: &mut BTreeMap<N, u64>, name: N, others: impl FnOnce() -> N) {
    let is_full = counts.len() >= MAX_NAMES && !counts.contains_key(&name);
    *counts.entry(if is_full { others() } else { name }).or_default() += 1;
}

fn sampled(count: u64) -> Option<String> {
    (count > 0).then(|| format!("{count} records have a field that tells of sampling"))
}

/// How times follow one another.
#[derive(Debug)]
pub(super) struct Clock {
    before: Option<Timestamp>,
    /// Steps forward, in microseconds.
    steps: Histogram<u64>,
    backwards: u64,
    largest: SignedDuration,
}

impl Default for Clock {
    fn default() -> Self {
        let steps = Histogram::new(3).expect("three digits can be kept");
        Self { before: None, steps, backwards: 0, largest: SignedDuration::ZERO }
    }
}

impl Clock {
    fn add(&mut self, time: Timestamp) {
        let step = self.before.map(|before| time.duration_since(before));
        self.before = Some(time);
        let Some(step) = step else { return };
        if step.is_negative() {
            self.backwards += 1;
            self.largest = self.largest.max(-step);
        } else {
            self.steps.saturating_record(u64::try_from(step.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Ten times the median interval, and at least a minute.
    fn usual_gap(&self) -> SignedDuration {
        let median = i64::try_from(self.steps.value_at_quantile(0.5)).unwrap_or(i64::MAX);
        SignedDuration::from_micros(median.saturating_mul(10)).max(SHORTEST_GAP)
    }
}

/// Whether ids are numbers that were counted up, and how many of them are there.
#[derive(Debug, Default)]
struct Numbers {
    range: Option<(u64, u64)>,
    has_others: bool,
}

impl Numbers {
    fn add(&mut self, id: &str) {
        let Ok(number) = id.parse::<u64>() else {
            self.has_others = true;
            return;
        };
        let (least, most) = self.range.unwrap_or((number, number));
        self.range = Some((least.min(number), most.max(number)));
    }

    fn hint(&self, records: u64) -> Option<String> {
        let (least, most) = self.range.filter(|_| !self.has_others && records > 1)?;
        let possible = (most - least).checked_add(1)?;
        (records < possible).then(|| {
            let share = 100.0 * records as f64 / possible as f64;
            format!(
                "ids are numbers from {least} to {most}, and {records} records are {share:.2} % of \
                 them: the capture may be a sample"
            )
        })
    }
}
