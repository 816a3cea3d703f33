//! The audit as it is written and printed.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use super::Clock;
use super::coverage::Gap;

/// So many gaps are listed.
const LISTED: usize = 20;
/// So many groups are printed.
const PRINTED: usize = 20;

/// What is there, and what is odd about it.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    /// How many records there are.
    pub(crate) records: u64,
    /// How many of each model and client.
    #[serde(serialize_with = "as_groups")]
    pub(crate) groups: BTreeMap<Group, u64>,
    /// From the first call to the last.
    pub(crate) span: Option<Span>,
    /// Times without calls.
    pub(crate) gaps: Gaps,
    /// Calls that stand behind later ones.
    pub(crate) clock: Backwards,
    /// How many records have the id of one before them.
    pub(crate) duplicate_ids: u64,
    /// How many different requests there are.
    pub(crate) distinct_requests: u64,
    /// How many calls have no answer, by reason.
    pub(crate) unanswered: BTreeMap<String, u64>,
    /// How many answers have which status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// What else is to be known.
    pub(crate) hints: Vec<String>,
}

/// A model and a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Group {
    /// The model.
    pub(crate) model: String,
    /// The client, where it is known.
    pub(crate) client: Option<String>,
}

impl Group {
    /// What stands for all groups that are not counted by themselves.
    pub(super) fn others() -> Self {
        Self { model: "(others)".to_owned(), client: None }
    }
}

/// A stretch of time.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Span {
    from: Timestamp,
    to: Timestamp,
    seconds: f64,
}

impl From<Gap> for Span {
    fn from(gap: Gap) -> Self {
        Self { from: gap.from, to: gap.to, seconds: gap.length().as_secs_f64() }
    }
}

/// Times without calls.
#[derive(Debug, Serialize)]
pub(crate) struct Gaps {
    longer_than_seconds: f64,
    /// Shorter ones may have been missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution_seconds: Option<f64>,
    count: usize,
    seconds: f64,
    longest: Vec<Span>,
}

impl Gaps {
    /// Lists the longest.
    pub(super) fn of(
        longer_than: SignedDuration,
        resolution: SignedDuration,
        gaps: Vec<Gap>,
    ) -> Self {
        let count = gaps.len();
        let seconds = gaps.iter().map(|gap| gap.length().as_secs_f64()).sum();
        let mut longest: Vec<Span> = gaps.into_iter().map(Span::from).collect();
        longest.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
        longest.truncate(LISTED);
        let is_coarse = resolution > longer_than;
        let resolution_seconds = is_coarse.then(|| resolution.as_secs_f64());
        let longer_than_seconds = longer_than.as_secs_f64();
        Self { longer_than_seconds, resolution_seconds, count, seconds, longest }
    }
}

/// Calls that stand behind later ones.
#[derive(Debug, Serialize)]
pub(crate) struct Backwards {
    backwards: u64,
    largest_step_seconds: f64,
}

impl From<Clock> for Backwards {
    fn from(clock: Clock) -> Self {
        let largest_step_seconds = clock.largest.as_secs_f64();
        Self { backwards: clock.backwards, largest_step_seconds }
    }
}

fn as_groups<S: Serializer>(groups: &BTreeMap<Group, u64>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Counted<'a> {
        #[serde(flatten)]
        group: &'a Group,
        records: u64,
    }
    to.collect_seq(groups.iter().map(|(group, records)| Counted { group, records: *records }))
}

/// Text from a file without what would take hold of a terminal.
pub(crate) fn printable(text: &str) -> String {
    let escape = |letter: char| match letter.is_control() {
        true => letter.escape_debug().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, records) in self.groups.iter().take(PRINTED) {
            writeln!(f, "  {group}: {records}")?;
        }
        if self.groups.len() > PRINTED {
            writeln!(f, "  and {} groups more", self.groups.len() - PRINTED)?;
        }
        if let Some(Span { from, to, .. }) = &self.span {
            writeln!(f, "captured from {from} to {to}")?;
        }
        writeln!(f, "{}", self.gaps)?;
        writeln!(f, "{}", self.clock)?;
        writeln!(f, "ids that came before: {}", self.duplicate_ids)?;
        writeln!(f, "distinct requests: {}", self.distinct_requests)?;
        for (status, count) in &self.statuses {
            writeln!(f, "status {status}: {count}")?;
        }
        for (reason, count) in self.unanswered.iter().take(PRINTED) {
            writeln!(f, "without an answer: {count}: {}", printable(reason))?;
        }
        self.hints.iter().try_for_each(|hint| writeln!(f, "note: {hint}"))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", printable(&self.model))?;
        match &self.client {
            Some(client) => write!(f, " for {}", printable(client)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gaps longer than {} s: {}", self.longer_than_seconds, self.count)?;
        if let Some(Span { from, seconds, .. }) = self.longest.first() {
            write!(f, ", the longest {seconds} s from {from}")?;
        }
        match self.resolution_seconds {
            Some(seconds) => write!(f, "; those shorter than {seconds} s may be missed"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Backwards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls earlier than the one before: {}", self.backwards)?;
        if self.backwards > 0 {
            write!(f, ", by up to {} s", self.largest_step_seconds)?;
        }
        Ok(())
    }
}
