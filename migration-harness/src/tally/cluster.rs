//! The records that differ in the same way.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::difference::{Difference, Kind, Permit};
use crate::report::Distances;
use crate::tally::{Example, Finding, OTHERS};

/// How many clusters are told apart; the differences of all others make a few more.
const MAX_CLUSTERS: usize = 2_000;
/// How many clients of a cluster are told apart.
const MAX_CLIENTS: usize = 1_000;
/// How many ids are kept.
const MAX_IDS: usize = 20;
/// How long the path of a field and an id may be.
const MAX_NAME_CHARS: usize = 200;

/// What the records of a cluster have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    /// The path of the field.
    pub(crate) field: String,
    /// How it differs.
    pub(crate) kind: Kind,
    /// The model.
    pub(crate) model: String,
    /// What permits the difference.
    pub(crate) permit: Option<Permit>,
}

/// The records that share a key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Cluster {
    /// How many they are.
    pub(crate) records: u64,
    /// How many of them each client has.
    pub(crate) clients: BTreeMap<String, u64>,
    /// Of how many the features were looked at.
    pub(crate) looked_at: u64,
    /// How many of these have each feature.
    pub(crate) features: BTreeMap<u32, u64>,
    /// When the first and the last were captured, in microseconds since 1970.
    pub(crate) captured: Option<(i64, i64)>,
    /// The ids of the first, by their sequence.
    pub(crate) ids: BTreeMap<u64, String>,
    /// How far numbers are apart.
    pub(crate) distances: Option<Distances>,
    /// In how many of them it is the first difference of its field that noise permits.
    pub(crate) noise: u64,
}

/// All clusters, in the order in which they were met, each with its smallest record.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    numbers: HashMap<Key, u32>,
    list: Vec<(Key, Cluster, Example)>,
}

impl Key {
    /// The cluster of a difference in an answer of the model.
    fn of(model: &str, difference: &Difference) -> Self {
        Self {
            field: short(&difference.field),
            kind: difference.kind,
            model: short(model),
            permit: difference.permit.clone(),
        }
    }

    /// The cluster of what there are too many of.
    fn of_others(permit: Option<&Permit>) -> Self {
        let permit = permit.map(|permit| match permit {
            Permit::Rule(_) => Permit::Rule(OTHERS.to_owned()),
            other => other.clone(),
        });
        Self { field: OTHERS.to_owned(), kind: Kind::Value, model: OTHERS.to_owned(), permit }
    }
}

impl Clusters {
    /// Counts one difference of a record, and says in which cluster.
    pub(crate) fn add(
        &mut self,
        finding: &Finding<'_>,
        difference: &Difference,
        features: Option<&[u32]>,
    ) -> u32 {
        let key = Key::of(&finding.record.model, difference);
        let number = self.number(key, || Example::of(finding));
        let (_, cluster, example) = &mut self.list[number as usize];
        cluster.add(finding, difference, features);
        if example.is_beaten_by(finding) {
            *example = Example::of(finding);
        }
        number
    }

    /// Adds what another run counted, and says in which cluster.
    pub(crate) fn merge(&mut self, key: Key, other: Cluster, its_example: Example) -> u32 {
        let number = self.number(key, || its_example.clone());
        let (_, cluster, example) = &mut self.list[number as usize];
        cluster.merge(other);
        if its_example.size() < example.size() {
            *example = its_example;
        }
        number
    }

    /// The clusters, by their numbers.
    pub(crate) fn list(&self) -> &[(Key, Cluster, Example)] {
        &self.list
    }

    fn number(&mut self, key: Key, example: impl FnOnce() -> Example) -> u32 {
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let is_others = key.field == OTHERS;
        if self.list.len() >= MAX_CLUSTERS && !is_others {
            return self.number(Key::of_others(key.permit.as_ref()), example);
        }
        let number = self.list.len() as u32;
        self.numbers.insert(key.clone(), number);
        self.list.push((key, Cluster::default(), example()));
        number
    }
}

impl Cluster {
    fn add(&mut self, finding: &Finding<'_>, difference: &Difference, features: Option<&[u32]>) {
        self.records += 1;
        if let Some(client) = &finding.record.client {
            self.add_client(client, 1);
        }
        if let Some(features) = features {
            self.looked_at += 1;
            for feature in features {
                *self.features.entry(*feature).or_default() += 1;
            }
        }
        let at = finding.record.captured_at.as_microsecond();
        self.add_captured(at, at);
        if self.ids.len() < MAX_IDS || self.ids.keys().next_back() > Some(&finding.sequence) {
            self.add_id(finding.sequence, short(&finding.record.id));
        }
        if let Some(distance) = difference.distance.filter(|distance| distance.is_finite()) {
            add_distance(&mut self.distances, distance);
        }
        self.noise += u64::from(is_first_of_noise(finding, difference));
    }

    fn merge(&mut self, other: Self) {
        self.records += other.records;
        other.clients.iter().for_each(|(client, records)| self.add_client(client, *records));
        self.looked_at += other.looked_at;
        for (feature, records) in other.features {
            *self.features.entry(feature).or_default() += records;
        }
        if let Some((first, last)) = other.captured {
            self.add_captured(first, last);
        }
        other.ids.into_iter().for_each(|(sequence, id)| self.add_id(sequence, id));
        if let Some(distances) = other.distances {
            merge_distances(&mut self.distances, distances);
        }
        self.noise += other.noise;
    }

    fn add_client(&mut self, client: &str, records: u64) {
        if let Some(count) = self.clients.get_mut(client) {
            *count += records;
        } else {
            let too_many = self.clients.len() >= MAX_CLIENTS;
            let name = if too_many { OTHERS.to_owned() } else { short(client) };
            *self.clients.entry(name).or_default() += records;
        }
    }

    fn add_captured(&mut self, first: i64, last: i64) {
        let (earliest, latest) = self.captured.unwrap_or((first, last));
        self.captured = Some((earliest.min(first), latest.max(last)));
    }

    fn add_id(&mut self, sequence: u64, id: String) {
        self.ids.insert(sequence, id);
        if self.ids.len() > MAX_IDS {
            self.ids.pop_last();
        }
    }
}

/// A field may differ in several ways that noise permits, and its record counts once.
fn is_first_of_noise(finding: &Finding<'_>, difference: &Difference) -> bool {
    let of_noise = |other: &&Difference| {
        other.permit == Some(Permit::Noise) && other.field == difference.field
    };
    finding.differences.iter().find(of_noise) == Some(difference)
}

fn add_distance(distances: &mut Option<Distances>, distance: f64) {
    let powers_of_ten = BTreeMap::new();
    let known = distances.get_or_insert(Distances { min: distance, max: distance, powers_of_ten });
    known.min = known.min.min(distance);
    known.max = known.max.max(distance);
    if distance > 0.0 {
        *known.powers_of_ten.entry(distance.log10().floor() as i32).or_default() += 1;
    }
}

fn merge_distances(distances: &mut Option<Distances>, other: Distances) {
    let Some(known) = distances else {
        *distances = Some(other);
        return;
    };
    known.min = known.min.min(other.min);
    known.max = known.max.max(other.max);
    for (power, records) in other.powers_of_ten {
        *known.powers_of_ten.entry(power).or_default() += records;
    }
}

fn short(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
