//! When a replay counts as parity, and what else it may count as.

use serde::Serialize;

use crate::bound;
use crate::tally::Counts;

/// Better to worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The target answers as the captured system did, as far as was asked to be shown.
    Parity,
    /// Nothing speaks against it, and too few calls speak for it.
    Unproven,
    /// More records differ than are allowed.
    Broken,
}

impl Outcome {
    /// 0 parity, 1 broken, 2 unproven.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Parity => 0,
            Self::Broken => 1,
            Self::Unproven => 2,
        }
    }

    /// The word in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parity => "parity",
            Self::Unproven => "unproven",
            Self::Broken => "broken",
        }
    }
}

/// What has to be shown for parity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many records may differ.
    pub(crate) allow: u64,
    /// The largest mismatch rate that may remain possible.
    pub(crate) max_rate: f64,
    /// How surely that must be excluded, between 0 and 1.
    pub(crate) confidence: f64,
}

impl Limits {
    /// The bound on the mismatch rate, over distinct requests.
    pub(crate) fn rate(&self, counts: &Counts) -> f64 {
        bound::mismatch_rate(counts.distinct_mismatches(), counts.distinct(), self.confidence)
    }

    /// What the records show, given their bound.
    pub(crate) fn outcome(&self, counts: &Counts, rate: f64) -> Outcome {
        if counts.mismatches > self.allow {
            Outcome::Broken
        } else if rate <= self.max_rate && counts.records > 0 {
            Outcome::Parity
        } else {
            Outcome::Unproven
        }
    }
}
