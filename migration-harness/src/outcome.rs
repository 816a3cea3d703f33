//! When a replay counts as parity, and what else it may count as.

use serde::{Deserialize, Serialize};

use crate::bound;
use crate::error::Error;
use crate::verdict::Verdict;

/// Better to worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// How many records may differ.
    pub(crate) allow: u64,
    /// The largest mismatch rate that may remain possible.
    pub(crate) max_rate: f64,
    /// How surely that must be excluded, between 0 and 1.
    pub(crate) confidence: f64,
    /// When the bound holds.
    #[serde(default)]
    pub(crate) looks: Looks,
}

/// When a bound is looked at, which decides how wide it must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Looks {
    /// Once, after a number of calls that did not depend on what they showed: Clopper-Pearson's.
    #[default]
    Once,
    /// At any moment, as often as one likes: `bound::anytime`.
    Anytime,
}

/// The options that say what has to be shown; the same for every command that gives a verdict.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct LimitArgs {
    /// How many records may differ before the outcome is `broken`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    allow: u64,
    /// The largest mismatch rate that may remain possible for `parity`.
    #[arg(long, value_name = "RATE", default_value_t = 0.001)]
    max_rate: f64,
    /// How surely a larger one must be excluded.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// What the exit code follows: the outcome of the whole (the default), or that of the worst
    /// group. A shard exits with 0 once its part is done, unless this is given.
    #[arg(long, value_enum)]
    require: Option<Require>,
}

/// What the exit code follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Require {
    /// All records together.
    Whole,
    /// The worst of all records together and each group of one model and client.
    Groups,
}

/// How many records there are, and how many differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Records.
    pub(crate) records: u64,
    /// Records with at least one difference that nothing permits.
    pub(crate) mismatches: u64,
    /// Distinct requests.
    pub(crate) distinct: u64,
    /// Distinct requests that differed at least once.
    pub(crate) distinct_mismatches: u64,
}

impl LimitArgs {
    /// The limits, if they are some.
    ///
    /// # Errors
    /// A usage error that names the option whose value is out of its range.
    pub(crate) fn limits(&self) -> Result<Limits, Error> {
        let Self { allow, max_rate, confidence, .. } = *self;
        if !(0.0..=1.0).contains(&max_rate) {
            return Err(Error::Usage(format!("`--max-rate` must be from 0 to 1, not {max_rate}")));
        }
        if !(confidence > 0.0 && confidence < 1.0) {
            let reason = format!("`--confidence` must be between 0 and 1, not {confidence}");
            return Err(Error::Usage(reason));
        }
        Ok(Limits { allow, max_rate, confidence, looks: Looks::Once })
    }

    /// The exit code of a command that gave this verdict.
    pub(crate) fn exit_code(&self, verdict: &Verdict) -> u8 {
        match self.require {
            None | Some(Require::Whole) => verdict.outcome.exit_code(),
            Some(Require::Groups) => verdict.worst().exit_code(),
        }
    }

    /// The exit code of a shard that has done its part: its few records prove little by
    /// themselves, so only an option makes them decide.
    pub(crate) fn exit_code_of_shard(&self, verdict: &Verdict) -> u8 {
        if self.require.is_some() { self.exit_code(verdict) } else { 0 }
    }
}

impl Limits {
    /// The bound on the mismatch rate, over distinct requests.
    pub(crate) fn rate(&self, counts: &Counts) -> f64 {
        self.bound(counts.distinct_mismatches, counts.distinct, self.confidence)
    }

    /// The bound on the rate of mismatches among distinct requests, at another confidence.
    pub(crate) fn bound(&self, mismatches: u64, distinct: u64, confidence: f64) -> f64 {
        match self.looks {
            Looks::Once => bound::mismatch_rate(mismatches, distinct, confidence),
            Looks::Anytime => bound::anytime(mismatches, distinct, confidence),
        }
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
