//! Counts what became of decisions that were made again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::replay::Demands;
use super::sides::Sides;
use crate::policy::name::Name;
use crate::policy::scope::Outcome;
use crate::store::recent::Recorded;

/// The most decisions that are named for one kind of change.
const MAX_EXAMPLES: usize = 10;

/// A verdict on both sides; nothing where the client has no options.
pub(super) type Decisions = Sides<Option<Outcome>>;

/// A decision whose verdict is certain on both sides.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The decision.
    pub(super) recorded: &'a Recorded,
    /// The verdicts.
    pub(super) decisions: Decisions,
    /// What the rules demanded.
    pub(super) rules: BTreeMap<&'a Name, Demands>,
    /// Whether any of the scores is of another version of its model.
    pub(super) is_of_other_version: bool,
}

/// The counts so far; decisions are to come in order, the newest first.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// All decisions.
    pub(super) replayed: u64,
    /// Those whose verdict is not certain on both sides.
    pub(super) unknown: u64,
    /// Those of the others that used a score of another version of its model.
    pub(super) other_version: u64,
    /// When the newest decision was made, and the oldest.
    pub(super) span: Option<Span>,
    /// How many decisions are unknown for want of a model's scores.
    pub(super) missing: BTreeMap<Name, u64>,
    /// How many certain decisions have each pair of verdicts.
    pub(super) verdicts: BTreeMap<Decisions, Verdicts>,
    /// What became of each rule.
    pub(super) rules: BTreeMap<Name, RuleTally>,
    /// The version of each model at the newest decision that asked it.
    newest_versions: BTreeMap<Name, Option<String>>,
}

/// A span of time.
#[derive(Debug)]
pub(super) struct Span {
    /// Its end.
    pub(super) newest: String,
    /// Its beginning.
    pub(super) oldest: String,
}

/// The decisions with one pair of verdicts.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// How many.
    pub(super) count: u64,
    /// In how many of them each rule made the difference.
    pub(super) by: BTreeMap<Name, u64>,
    /// Some of those whose verdict has changed.
    pub(super) examples: Vec<Example>,
}

/// Names a decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecisionExample)]
pub(super) struct Example {
    decision_id: String,
    client: String,
    content_id: String,
}

/// What became of one rule.
#[derive(Debug, Default)]
pub(super) struct RuleTally {
    /// In how many changed verdicts it demanded something else.
    pub(super) changed: u64,
    /// How often it demanded something else, whatever the verdict.
    pub(super) outcomes: BTreeMap<Demands, u64>,
}

impl Tally {
    /// Begins with the next decision.
    pub(super) fn see(&mut self, recorded: &Recorded) {
        self.replayed += 1;
        let at = || recorded.decided_at.clone();
        let span = self.span.get_or_insert_with(|| Span { newest: at(), oldest: at() });
        span.oldest = at();
    }

    /// The version of the model at the newest decision that asked it, which may be this one.
    pub(super) fn newest_version(&mut self, model: &Name, this: Option<&str>) -> Option<&str> {
        let this = || this.map(str::to_owned);
        self.newest_versions.entry(model.clone()).or_insert_with(this).as_deref()
    }

    /// Counts a decision that cannot be made again for want of these models' scores.
    pub(super) fn count_unknown(&mut self, missing: &BTreeSet<&Name>) {
        self.unknown += 1;
        for model in missing {
            *self.missing.entry((*model).clone()).or_default() += 1;
        }
    }

    /// Counts a decision that is certain on both sides.
    pub(super) fn count_known(&mut self, known: &Known<'_>) {
        let Known { recorded, decisions, rules, is_of_other_version } = known;
        self.other_version += u64::from(*is_of_other_version);
        let verdicts = self.verdicts.entry(*decisions).or_default();
        verdicts.count += 1;
        if decisions.differ() && verdicts.examples.len() < MAX_EXAMPLES {
            verdicts.examples.push(Example::of(recorded));
        }
        for (rule, demands) in rules {
            if decides(*decisions, *demands) {
                *verdicts.by.entry((*rule).clone()).or_default() += 1;
            }
            if demands.differ() {
                let tally = self.rules.entry((*rule).clone()).or_default();
                tally.changed += u64::from(decisions.differ() && effects(*demands).differ());
                *tally.outcomes.entry(*demands).or_default() += 1;
            }
        }
    }
}

/// A rule that takes no part demands no more than one that approves.
fn effects(demands: Demands) -> Sides<Outcome> {
    demands.map(Option::unwrap_or_default)
}

/// Whether the verdict could not have changed like this without the rule, be it by a demand that
/// is as strict as the new verdict, or by one that was as strict as the old.
fn decides(decisions: Decisions, demands: Demands) -> bool {
    let Sides { before: Some(from), after: Some(to) } = decisions else { return false };
    let Sides { before, after } = effects(demands);
    (to > from && after == to && before < to) || (to < from && before == from && after < from)
}

impl Example {
    fn of(recorded: &Recorded) -> Self {
        Self {
            decision_id: recorded.decision_id.clone(),
            client: recorded.client.clone(),
            content_id: recorded.content_id.clone(),
        }
    }
}
