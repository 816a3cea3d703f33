//! A fair sample of each model's records, to hold its clusters against: the records whose ids have
//! the smallest hashes. It depends neither on the order of the records nor on how they are divided.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

/// How many records of a model are kept.
const MAX_RECORDS: usize = 1_024;

/// Names a record's place in all samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Draw {
    hash: u64,
    sequence: u64,
}

/// What is kept of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sampled {
    /// When it was captured, in microseconds since 1970.
    pub(crate) captured_at: i64,
    /// The numbers of its features.
    pub(crate) features: Vec<u32>,
    /// The numbers of the clusters that it is in.
    pub(crate) clusters: Vec<u32>,
}

/// The sample of one model.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    kept: BTreeMap<Draw, Sampled>,
}

impl Draw {
    /// The draw of the record with this id.
    pub(crate) fn of(id: &str, sequence: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        Self { hash: hasher.finish(), sequence }
    }

    /// Whether it is one of the sixteenth of all records that is looked at closely where every
    /// record may be of interest.
    pub(crate) fn is_of_the_sixteenth(self) -> bool {
        self.hash.is_multiple_of(16)
    }
}

impl Sample {
    /// Whether the sample would keep such a record.
    pub(crate) fn wants(&self, draw: Draw) -> bool {
        self.kept.len() < MAX_RECORDS
            || self.kept.last_key_value().is_some_and(|(last, _)| draw < *last)
    }

    /// Adds a record, and lets go of the one that drew the highest.
    pub(crate) fn add(&mut self, draw: Draw, sampled: Sampled) {
        self.kept.insert(draw, sampled);
        if self.kept.len() > MAX_RECORDS {
            self.kept.pop_last();
        }
    }

    /// The records.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (Draw, &Sampled)> {
        self.kept.iter().map(|(draw, sampled)| (*draw, sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_division_of_the_records_do_not_matter() {
        let draws: Vec<_> =
            (0..5_000).map(|number| Draw::of(&format!("id-{number}"), number)).collect();
        let sample = |draws: &mut dyn Iterator<Item = Draw>| {
            let mut sample = Sample::default();
            for draw in draws {
                if sample.wants(draw) {
                    sample.add(
                        draw,
                        Sampled { captured_at: 0, features: Vec::new(), clusters: Vec::new() },
                    );
                }
            }
            sample.kept().map(|(draw, _)| draw).collect::<Vec<_>>()
        };
        let whole = sample(&mut draws.iter().copied());
        assert_eq!(whole.len(), MAX_RECORDS);
        assert_eq!(sample(&mut draws.iter().rev().copied()), whole);
        let (even, odd) = (sample(&mut draws.iter().step_by(2).copied()), draws.iter().skip(1));
        let odd = sample(&mut odd.step_by(2).copied());
        assert_eq!(sample(&mut even.into_iter().chain(odd)), whole);
        let sixteenth = draws.iter().filter(|draw| draw.is_of_the_sixteenth()).count();
        assert!((200..430).contains(&sixteenth), "{sixteenth}");
    }
}
