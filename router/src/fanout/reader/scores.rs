//! What an answer says of labels.

use std::collections::{BTreeMap, BTreeSet};

/// The scores of labels, of which none stands twice.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scores {
    /// Each label's, where it is a number from 0 to 1.
    pub(crate) valid: BTreeMap<String, f64>,
    /// The labels with something else in its place.
    pub(crate) invalid: BTreeSet<String>,
}

impl Scores {
    /// Whether anything is said of this label.
    pub(crate) fn has(&self, label: &str) -> bool {
        self.valid.contains_key(label) || self.invalid.contains(label)
    }

    /// Whether nothing is said of any label.
    pub(super) fn is_empty(&self) -> bool {
        self.valid.is_empty() && self.invalid.is_empty()
    }

    /// Takes in what is said of a label; `false` if something was said of it before, which stays.
    pub(super) fn insert(&mut self, label: String, score: Option<f64>) -> bool {
        if self.has(&label) {
            return false;
        }
        match score {
            Some(score) => drop(self.valid.insert(label, score)),
            None => drop(self.invalid.insert(label)),
        }
        true
    }
}

/// Of labels that differ.
impl FromIterator<(String, Option<f64>)> for Scores {
    fn from_iter<I: IntoIterator<Item = (String, Option<f64>)>>(labels: I) -> Self {
        let mut scores = Self::default();
        for (label, score) in labels {
            scores.insert(label, score);
        }
        scores
    }
}
