//! What a tally comes to, for people: counts, shares, and which rules made the difference.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::sides::Sides;
use super::tally::{Decisions, Example, RuleTally, Tally, Verdicts};
use crate::policy::name::Name;
use crate::policy::scope::Outcome;

/// What became of the decisions that were made again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatIfReport)]
pub(super) struct Report {
    decisions: Totals,
    /// The share of each verdict in the decisions that are certain on both sides, if any is.
    rates: Option<Sides<Rates>>,
    /// What verdicts would change to, the most frequent change first.
    changes: Vec<Change>,
    /// The rules that would demand something else, those that change most verdicts first.
    rules: Vec<RuleReport>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayedDecisions)]
struct Totals {
    replayed: u64,
    unchanged: u64,
    changed: u64,
    unknown: u64,
    /// Those of the unchanged and changed that rest on a score of another version of its model.
    other_version: u64,
    /// The models for want of whose scores decisions are unknown.
    missing: BTreeMap<Name, u64>,
    oldest: Option<String>,
    newest: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = VerdictRates)]
struct Rates {
    approve: f64,
    review: f64,
    reject: f64,
}

/// A verdict is null where the client has no options, and so gets none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerdictChange)]
struct Change {
    from: Option<Outcome>,
    to: Option<Outcome>,
    count: u64,
    /// In the decisions that are certain on both sides.
    share: f64,
    /// In how many of them each rule made the difference.
    by: BTreeMap<Name, u64>,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RuleReport {
    rule: Name,
    changed: u64,
    outcomes: Vec<Transition>,
}

/// An outcome is null where the rule takes no part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutcomeChange)]
struct Transition {
    from: Option<Outcome>,
    to: Option<Outcome>,
    count: u64,
}

impl Report {
    pub(super) fn of(tally: Tally) -> Self {
        let known = tally.replayed - tally.unknown;
        let count = |(_, verdicts): (_, &Verdicts)| verdicts.count;
        let changed = tally.verdicts.iter().filter(|(sides, _)| sides.differ()).map(count).sum();
        let (newest, oldest) = tally.span.map(|span| (span.newest, span.oldest)).unzip();
        let decisions = Totals {
            replayed: tally.replayed,
            unchanged: known - changed,
            changed,
            unknown: tally.unknown,
            other_version: tally.other_version,
            missing: tally.missing,
            oldest,
            newest,
        };
        let rates = (known > 0).then(|| rates(&tally.verdicts, known));
        let changes = changes(tally.verdicts, known);
        Self { decisions, rates, changes, rules: rules(tally.rules) }
    }
}

fn share(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

fn rates(verdicts: &BTreeMap<Decisions, Verdicts>, known: u64) -> Sides<Rates> {
    let rate = |side: fn(&Decisions) -> Option<Outcome>, outcome| {
        let matching = verdicts.iter().filter(|(sides, _)| side(sides) == Some(outcome));
        share(matching.map(|(_, verdicts)| verdicts.count).sum(), known)
    };
    let sides: Sides<fn(&Decisions) -> Option<Outcome>> =
        Sides { before: |sides| sides.before, after: |sides| sides.after };
    sides.map(|side| Rates {
        approve: rate(side, Outcome::Approve),
        review: rate(side, Outcome::Review),
        reject: rate(side, Outcome::Reject),
    })
}

fn changes(verdicts: BTreeMap<Decisions, Verdicts>, known: u64) -> Vec<Change> {
    let changed = verdicts.into_iter().filter(|(sides, _)| sides.differ());
    let mut changes: Vec<_> = changed
        .map(|(Sides { before: from, after: to }, Verdicts { count, by, examples })| Change {
            from,
            to,
            count,
            share: share(count, known),
            by,
            examples,
        })
        .collect();
    changes.sort_by_key(|change| Reverse(change.count));
    changes
}

fn rules(rules: BTreeMap<Name, RuleTally>) -> Vec<RuleReport> {
    let mut rules: Vec<_> =
        rules
            .into_iter()
            .map(|(rule, RuleTally { changed, outcomes })| {
                let outcomes = outcomes.into_iter();
                let outcomes = outcomes.map(|(Sides { before: from, after: to }, count)| {
                    Transition { from, to, count }
                });
                RuleReport { rule, changed, outcomes: outcomes.collect() }
            })
            .collect();
    rules.sort_by_key(|rule| Reverse(rule.changed));
    rules
}
