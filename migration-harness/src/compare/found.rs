//! Collects differences, and asks the rules what permits them.

use std::collections::BTreeMap;

use super::pair::Pair;
use super::path::Path;
use crate::difference::{Difference, Kind, Permit};
use crate::rules::Judge;

/// How many distinct differences of one record are told apart; a record with more differs in
/// everything.
const MAX_DIFFERENCES: usize = 1_000;

/// The field of what goes beyond.
const MORE_FIELDS: &str = "(more fields)";

/// The differences of one record.
pub(super) struct Found<'r> {
    judge: Judge<'r>,
    differences: BTreeMap<(String, Kind, Option<Permit>), Option<f64>>,
    /// Whether values differ.
    pub(super) has_values: bool,
    /// Whether some values are the same and written differently.
    pub(super) has_texts: bool,
}

impl<'r> Found<'r> {
    /// None yet.
    pub(super) fn new(judge: Judge<'r>) -> Self {
        Self { judge, differences: BTreeMap::new(), has_values: false, has_texts: false }
    }

    /// The rules for this record.
    pub(super) fn judge(&self) -> Judge<'r> {
        self.judge
    }

    /// Adds a difference, and says whether something permits it.
    pub(super) fn add(&mut self, path: &Path<'_>, kind: Kind, pair: &Pair<'_>) -> bool {
        let permit = self.judge.permit(path, kind, pair);
        let is_permitted = permit.is_some();
        self.insert(path, kind, permit, pair.distance());
        is_permitted
    }

    /// Adds a difference of which it is known what permits it.
    pub(super) fn insert(
        &mut self,
        path: &Path<'_>,
        kind: Kind,
        permit: Option<Permit>,
        distance: Option<f64>,
    ) {
        self.has_texts |= kind.is_of_text_only();
        self.has_values |= !kind.is_of_text_only();
        let mut key = (path.to_string(), kind, permit);
        if self.differences.len() >= MAX_DIFFERENCES && !self.differences.contains_key(&key) {
            key.0 = MORE_FIELDS.to_owned();
        }
        let largest = self.differences.entry(key).or_insert(distance);
        // None is less than any distance.
        *largest = if *largest < distance { distance } else { *largest };
    }

    /// All of them, in the order of the fields.
    pub(super) fn differences(self) -> Vec<Difference> {
        let difference =
            |((field, kind, permit), distance)| Difference { field, kind, permit, distance };
        self.differences.into_iter().map(difference).collect()
    }
}
