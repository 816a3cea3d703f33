//! The covering part: few records that show, for each model and label, all that calls are like.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::rc::Rc;

use serde::Serialize;

use crate::record::Record;
use crate::tally::Dictionary;

use super::decision::{Decision, Margin};

/// How many traits are covered; those met later are left out.
const MAX_TRAITS: usize = 50_000;

/// How many models and labels are told apart; all later ones count as one.
const MAX_KINDS: usize = 10_000;

/// Something that calls of one model and old label may be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Trait {
    /// The number of the model, and of the label that it decided for.
    kind: u32,
    /// The number of the feature.
    feature: u32,
}

/// A record that may be chosen.
struct Candidate {
    sequence: u64,
    record: Record,
    traits: Vec<Trait>,
}

/// Picks candidates as records go by: for each trait the record with the smallest request.
pub(super) struct Cover {
    features: Dictionary,
    kinds: HashMap<(String, String), u32>,
    smallest: HashMap<Trait, Rc<Candidate>>,
    /// For each model, the records with the closest decisions.
    closest: HashMap<String, BTreeMap<(Margin, u64), Rc<Candidate>>>,
    closest_per_model: usize,
    /// Records that are chosen whatever they cover.
    past: Vec<Rc<Candidate>>,
}

/// What the covering part holds.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Records.
    pub(super) records: usize,
    /// What the calls of a model with a label are like, all in all.
    pub(super) traits: usize,
    /// How many of these traits the records show.
    pub(super) covered: usize,
}

impl Cover {
    /// Keeps so many close decisions of each model.
    pub(super) fn new(closest_per_model: usize) -> Self {
        Self {
            features: Dictionary::default(),
            kinds: HashMap::new(),
            smallest: HashMap::new(),
            closest: HashMap::new(),
            closest_per_model,
            past: Vec::new(),
        }
    }

    /// Looks at one record.
    pub(super) fn add(&mut self, sequence: u64, record: &Record, is_past: bool) {
        let Decision { label, margin } = Decision::of(record);
        let traits = self.traits(record, label.unwrap_or_default());
        let size = (record.request.body.len(), sequence);
        let wanted: Vec<_> = traits.iter().filter(|one| self.wants(one, size)).copied().collect();
        let margin = margin.filter(|margin| self.is_close(&record.model, *margin));
        if wanted.is_empty() && margin.is_none() && !is_past {
            return;
        }
        let candidate = Rc::new(Candidate { sequence, record: record.clone(), traits });
        for one in wanted {
            self.smallest.insert(one, Rc::clone(&candidate));
        }
        if is_past {
            self.past.push(Rc::clone(&candidate));
        }
        if let Some(margin) = margin {
            let closest = self.closest.entry(record.model.clone()).or_default();
            closest.insert((margin, sequence), candidate);
            if closest.len() > self.closest_per_model {
                closest.pop_last();
            }
        }
    }

    fn traits(&mut self, record: &Record, label: String) -> Vec<Trait> {
        let kind = self.kind(record.model.clone(), label);
        let features = self.features.of(record).into_iter();
        features.map(|feature| Trait { kind, feature }).collect()
    }

    fn kind(&mut self, model: String, label: String) -> u32 {
        let count = self.kinds.len();
        if count < MAX_KINDS {
            *self.kinds.entry((model, label)).or_insert(count as u32)
        } else {
            self.kinds.get(&(model, label)).copied().unwrap_or(MAX_KINDS as u32)
        }
    }

    fn wants(&self, one: &Trait, size: (usize, u64)) -> bool {
        match self.smallest.get(one) {
            Some(kept) => size < (kept.record.request.body.len(), kept.sequence),
            None => self.smallest.len() < MAX_TRAITS,
        }
    }

    fn is_close(&self, model: &str, margin: Margin) -> bool {
        let Some(closest) = self.closest.get(model) else {
            return self.closest_per_model > 0 && self.closest.len() < MAX_KINDS;
        };
        closest.len() < self.closest_per_model
            || closest.last_key_value().is_some_and(|((last, _), _)| margin < *last)
    }

    /// The chosen records in their order: past mismatches, close decisions, and then at most
    /// `limit` that cover the most of what is not covered yet.
    pub(super) fn choose(self, limit: usize) -> (Vec<Record>, Summary) {
        let close = self.closest.into_values().flat_map(BTreeMap::into_values);
        let given: Vec<_> = self.past.into_iter().chain(close).collect();
        let mut choice = Choice::default();
        for candidate in given {
            choice.take(candidate);
        }
        let candidates: HashMap<_, _> =
            self.smallest.values().map(|one| (one.sequence, Rc::clone(one))).collect();
        choice.take_greedily(&candidates, limit);
        let traits = self.smallest.len();
        let covered = self.smallest.keys().filter(|one| choice.covered.contains(one)).count();
        let summary = Summary { records: choice.chosen.len(), traits, covered };
        let records = choice.chosen.into_values().map(|one| one.record.clone());
        (records.collect(), summary)
    }
}

/// What was chosen so far.
#[derive(Default)]
struct Choice {
    chosen: BTreeMap<u64, Rc<Candidate>>,
    covered: HashSet<Trait>,
}

impl Choice {
    fn take(&mut self, candidate: Rc<Candidate>) {
        self.covered.extend(&candidate.traits);
        self.chosen.insert(candidate.sequence, candidate);
    }

    /// Greedy set cover. What a candidate would add only ever shrinks, so the one on top is the
    /// best as soon as its figure is up to date.
    fn take_greedily(&mut self, candidates: &HashMap<u64, Rc<Candidate>>, limit: usize) {
        let gains = candidates.values().map(|one| (self.gain(one), u64::MAX - one.sequence));
        let mut heap: BinaryHeap<_> = gains.collect();
        let mut left = limit;
        while let Some((expected, rank)) = heap.pop() {
            let candidate = &candidates[&(u64::MAX - rank)];
            let gain = self.gain(candidate);
            if left == 0 || expected == 0 {
                return;
            }
            if gain < expected {
                heap.push((gain, rank));
            } else {
                self.take(Rc::clone(candidate));
                left -= 1;
            }
        }
    }

    fn gain(&self, candidate: &Candidate) -> usize {
        let new: BTreeSet<_> =
            candidate.traits.iter().filter(|one| !self.covered.contains(one)).collect();
        new.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    /// A record of the model whose answer says the label with a score.
    fn labelled(model: &str, label: &str, score: f64, body: &'static str) -> Record {
        let mut record = record(body, model, "a", body);
        let answer = record.reply.answer.as_mut().unwrap();
        answer.content_type = Some("application/json".to_owned());
        let other = 1.0 - score;
        answer.body =
            format!(r#"{{"label": "{label}", "scores": {{"a": {score}, "b": {other}}}}}"#).into();
        record
    }

    fn chosen(records: &[Record], closest: usize, limit: usize) -> (Vec<String>, Summary) {
        let mut cover = Cover::new(closest);
        for (sequence, record) in (0..).zip(records) {
            cover.add(sequence, record, record.id == "past");
        }
        let (records, summary) = cover.choose(limit);
        (records.into_iter().map(|record| record.id).collect(), summary)
    }

    #[test]
    fn one_record_stands_for_all_that_are_like_it() {
        let [one, like_it] = ["buy", "win"].map(|body| labelled("spam", "a", 0.9, body));
        let other = labelled("spam", "a", 0.9, "купи");
        let (ids, summary) = chosen(&[one, like_it, other], 0, 10);
        assert_eq!(ids, ["buy", "купи"]);
        assert_eq!(summary.covered, summary.traits);
    }

    #[test]
    fn each_model_and_label_is_covered_by_itself() {
        let [ham, spam] = ["a", "b"].map(|label| labelled("spam", label, 0.9, "buy"));
        let other = labelled("offensive", "a", 0.9, "buy");
        assert_eq!(chosen(&[ham, spam, other], 0, 10).0.len(), 3);
    }

    #[test]
    fn what_covers_most_comes_first_where_few_may_be_chosen() {
        let plain = labelled("spam", "a", 0.9, "buy");
        let rich = labelled("spam", "a", 0.9, "<p>купи 日本 101</p>");
        let (ids, summary) = chosen(&[plain, rich], 0, 1);
        assert_eq!(ids, ["<p>купи 日本 101</p>"]);
        assert!(summary.covered < summary.traits);
    }

    #[test]
    fn close_decisions_and_past_mismatches_are_chosen_whatever_they_cover() {
        let records = ["buy", "win", "won", "past"]
            .iter()
            .zip([0.9, 0.52, 0.51, 0.9])
            .map(|(body, score)| labelled("spam", "a", score, body))
            .collect::<Vec<_>>();
        assert_eq!(chosen(&records, 2, 0).0, ["win", "won", "past"]);
    }
}
