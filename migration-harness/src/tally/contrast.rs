//! Finds what sets the records of a cluster apart from the others of its model.

use crate::report::Feature;
use crate::tally::cluster::Cluster;
use crate::tally::features;
use crate::tally::sample::{Sample, Sampled};

/// How many records of a cluster, and how many others, say something.
const MIN_RECORDS: u64 = 5;
/// How many of the cluster's records have a feature that sets them apart.
const MIN_INSIDE: f64 = 0.9;
/// How many of the others have it at most.
const MAX_OUTSIDE: f64 = 0.5;
/// How many features are named.
const MAX_FEATURES: usize = 5;

/// A cluster, and what it is held against.
#[derive(Debug)]
pub(crate) struct Contrast<'a> {
    /// The cluster.
    cluster: &'a Cluster,
    /// How many of its model's records it has, from 0 to 1.
    share: f64,
    /// Sampled records of the model that aren't in it.
    others: Vec<&'a Sampled>,
    /// All features, by number.
    names: &'a [String],
}

impl<'a> Contrast<'a> {
    /// Holds the cluster of this number and share against the sample of its model.
    pub(crate) fn new(
        (number, cluster): (u32, &'a Cluster),
        share: f64,
        sample: &'a Sample,
        names: &'a [String],
    ) -> Self {
        let others = sample.kept().map(|(_, sampled)| sampled);
        let others = others.filter(|sampled| !sampled.clusters.contains(&number)).collect();
        Self { cluster, share, others, names }
    }

    /// The features that most of the cluster's records have and most others lack, the most telling
    /// first.
    pub(crate) fn features(&self) -> Vec<Feature> {
        if self.cluster.looked_at < MIN_RECORDS || (self.others.len() as u64) < MIN_RECORDS {
            return Vec::new();
        }
        let mut features = self.present_and_absent();
        features.extend(self.time());
        features.retain(|feature| feature.inside >= MIN_INSIDE && feature.outside <= MAX_OUTSIDE);
        features.sort_by(|one, other| {
            self.gain(other).total_cmp(&self.gain(one)).then_with(|| one.name.cmp(&other.name))
        });
        features.truncate(MAX_FEATURES);
        features
    }

    fn present_and_absent(&self) -> Vec<Feature> {
        let mut found = Vec::new();
        for (number, name) in (0..).zip(self.names) {
            let records = self.cluster.features.get(&number).copied().unwrap_or(0);
            let inside = records as f64 / self.cluster.looked_at as f64;
            let outside = || self.outside(|sampled| sampled.features.contains(&number));
            if inside >= MIN_INSIDE {
                found.push(Feature { name: name.clone(), inside, outside: outside() });
            } else if let Some(name) = features::absence(name).filter(|_| inside < 1.0 - MIN_INSIDE)
            {
                found.push(Feature { name, inside: 1.0 - inside, outside: 1.0 - outside() });
            }
        }
        found
    }

    /// When the cluster's records were captured, as a feature that all of them have.
    fn time(&self) -> Option<Feature> {
        let (first, last) = self.cluster.captured?;
        let at = |at| jiff::Timestamp::from_microsecond(at).ok();
        let name = format!("captured from {} to {}", at(first)?, at(last)?);
        let outside = self.outside(|sampled| (first..=last).contains(&sampled.captured_at));
        Some(Feature { name, inside: 1.0, outside })
    }

    fn outside(&self, has: impl Fn(&Sampled) -> bool) -> f64 {
        let records = self.others.iter().filter(|sampled| has(sampled)).count();
        records as f64 / self.others.len() as f64
    }

    /// How many bits the feature says about whether a record is in the cluster.
    fn gain(&self, feature: &Feature) -> f64 {
        let (inside, outside) = (feature.inside, feature.outside);
        let all = self.share * inside + (1.0 - self.share) * outside;
        entropy(all) - self.share * entropy(inside) - (1.0 - self.share) * entropy(outside)
    }
}

fn entropy(share: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    part(share) + part(1.0 - share)
}
