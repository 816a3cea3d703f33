//! What one rule has to say about a score, or about there being none.

use serde::{Serialize, Serializer};

use crate::fanout::call::{Call, Status};
use crate::policy::merge::Sourced;
use crate::policy::plan::Rule;
use crate::policy::scope::{Direction, Outcome, Threshold};
use crate::policy::scope_path::ScopePath;

/// What one rule had to say.
#[derive(Clone, Debug)]
pub(crate) struct Finding<'a> {
    /// The rule.
    pub(crate) rule: &'a Rule,
    /// The score; none where the call failed or the rule took no part.
    pub(crate) score: Option<f64>,
    /// The threshold crossed, if any.
    pub(crate) threshold: Option<f64>,
    /// What the rule demands.
    pub(crate) outcome: Outcome,
    /// The scope that set the threshold, or the outcome on failure.
    pub(crate) set_by: Option<&'a ScopePath>,
    /// Why there is no score.
    pub(crate) cause: Option<Cause>,
    /// Why its `when` could not be evaluated, in which case the rule took part.
    pub(crate) when_error: Option<String>,
}

/// Why a rule has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its call brought none: the rule demands what its options say for that case.
    Failure(Status),
    /// Its `when` is false for this content: it takes no part.
    When,
    /// It could not have changed the verdict: its call was spared, or that of a rule it looks at.
    Spared,
    /// Its call, or that of a rule it looks at, was not made at the time and is now replayed.
    Unknown,
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Failure(status) => status.serialize(serializer),
            Self::When => serializer.serialize_str("when"),
            // Not its call's `skipped`: that is the failure of a model that is taken out.
            Self::Spared => serializer.serialize_str("certain"),
            Self::Unknown => serializer.serialize_str("unknown"),
        }
    }
}

/// The finding of a rule that takes part, by its call.
pub(super) fn judge<'a>(rule: &'a Rule, call: &Call) -> Finding<'a> {
    let Some(score) = call.scores.get(rule.label).copied().flatten() else {
        return fail(rule, call.status);
    };
    let crossed = |threshold: &&Sourced<Threshold>| match rule.terms.direction {
        Direction::Above => score >= threshold.value.0,
        Direction::Below => score <= threshold.value.0,
    };
    let (outcome, threshold) = match rule.terms.reject_at.as_ref().filter(crossed) {
        Some(threshold) => (Outcome::Reject, Some(threshold)),
        None => match rule.terms.review_at.as_ref().filter(crossed) {
            Some(threshold) => (Outcome::Review, Some(threshold)),
            None => (Outcome::Approve, None),
        },
    };
    Finding {
        score: Some(score),
        threshold: threshold.map(|threshold| threshold.value.0),
        outcome,
        set_by: threshold.map(|threshold| &threshold.set_by),
        cause: None,
        ..pass(rule, Cause::When)
    }
}

/// A rule without a score does what its options say; people look where they say nothing.
fn fail(rule: &Rule, status: Status) -> Finding<'_> {
    let on_failure = rule.terms.on_failure.as_ref();
    Finding {
        outcome: on_failure.map_or(Outcome::Review, |on_failure| on_failure.value),
        set_by: on_failure.map(|on_failure| &on_failure.set_by),
        ..pass(rule, Cause::Failure(status))
    }
}

/// The finding of a rule that demands nothing.
pub(super) fn pass(rule: &Rule, cause: Cause) -> Finding<'_> {
    Finding {
        rule,
        score: None,
        threshold: None,
        outcome: Outcome::Approve,
        set_by: None,
        cause: Some(cause),
        when_error: None,
    }
}

impl Finding<'_> {
    /// Whether the rule judged the content, by a score or without.
    pub(crate) fn took_part(&self) -> bool {
        self.cause.is_none() || self.has_failed()
    }

    /// Whether it judged without the score that it needs.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.cause, Some(Cause::Failure(_)))
    }
}
