//! Sums a tally up to a verdict and a report.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::bound;
use crate::difference::Permit;
use crate::error::Error;
use crate::outcome::{Counts, Limits};
use crate::report::{ClusterDetail, Report, Run, Statistics, Stratum, Timing};
use crate::tally::contrast::Contrast;
use crate::tally::groups::GroupRecords;
use crate::tally::ledger::Distinct;
use crate::tally::{Cluster, Example, Group, Key, Ledger, Tally, ledger_of};
use crate::verdict::{Bound, ClusterReport, GroupVerdict, Verdict};

impl Tally {
    /// The verdict on everything that was counted, and the report on it.
    ///
    /// # Errors
    /// When what was written to disk can't be read again.
    pub(crate) fn sum_up(
        mut self,
        limits: Limits,
        run: Run,
        timing: Option<Timing>,
    ) -> Result<(Verdict, Report), Error> {
        let groups = self.groups.list().len();
        let ledger = std::mem::replace(&mut self.ledger, Ledger::new(ledger_of(&self.folder)));
        let totals = ledger.count(groups)?;
        let mut groups: Vec<_> = self.groups.list().iter().zip(totals.groups).map(counts).collect();
        groups.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let whole = sum(&groups, totals.whole);
        let clusters = self.sorted_clusters();
        let verdict = verdict(limits, whole, &groups, &clusters);
        let report = Report {
            verdict: verdict.clone(),
            limits,
            clusters: self.details(&clusters, &run),
            run,
            timing,
            statistics: statistics(limits, whole, &groups),
            failure: self.failure,
            differing: self.differing,
            only_in_new: 0,
            incomplete: self.incomplete,
            not_compared: BTreeMap::new(),
        };
        Ok((verdict, report))
    }

    /// Mismatches first, then the most frequent; of equally frequent ones in the order of their
    /// fields.
    fn sorted_clusters(&self) -> Vec<Numbered<'_>> {
        let mut clusters: Vec<_> = (0..).zip(self.clusters.list()).collect();
        clusters.sort_by_key(|(_, (key, cluster, _))| {
            (key.permit.is_some(), Reverse(cluster.records), key)
        });
        clusters
    }

    fn details(&self, clusters: &[Numbered<'_>], run: &Run) -> Vec<ClusterDetail> {
        let mut noise = HashMap::new();
        for (_, (key, cluster, _)) in clusters {
            *noise.entry((&key.model, &key.field)).or_default() += cluster.noise;
        }
        let models = self.groups.models();
        let detail = |(number, (key, cluster, example)): &Numbered<'_>| {
            // A cluster of all others is of no model, so it is held against all records.
            let all = || models.values().sum();
            let records = models.get(key.model.as_str()).copied().unwrap_or_else(all);
            let share = cluster.records as f64 / records as f64;
            let sample = self.groups.model_number(&key.model);
            let sample = sample.and_then(|model| self.samples.get(model as usize));
            let features = sample.map(|sample| {
                let names = self.dictionary.names();
                Contrast::new((*number, cluster), share, sample, names).features()
            });
            ClusterDetail {
                field: key.field.clone(),
                kind: key.kind,
                model: key.model.clone(),
                permit: key.permit.clone(),
                records: cluster.records,
                share,
                clients: cluster.clients.clone(),
                features: features.unwrap_or_default(),
                noise: noise[&(&key.model, &key.field)],
                distances: cluster.distances.clone(),
                example: example.detail(&run.target),
                ids: cluster.ids.values().cloned().collect(),
            }
        };
        clusters.iter().map(detail).collect()
    }
}

/// A cluster with its number.
type Numbered<'a> = (u32, &'a (Key, Cluster, Example));

fn counts((group, distinct): (&GroupRecords, Distinct)) -> (Group, Counts) {
    let counts = Counts {
        records: group.records,
        mismatches: group.mismatches,
        distinct: distinct.requests,
        distinct_mismatches: distinct.mismatches,
    };
    (group.group.clone(), counts)
}

fn sum(groups: &[(Group, Counts)], distinct: Distinct) -> Counts {
    Counts {
        records: groups.iter().map(|(_, counts)| counts.records).sum(),
        mismatches: groups.iter().map(|(_, counts)| counts.mismatches).sum(),
        distinct: distinct.requests,
        distinct_mismatches: distinct.mismatches,
    }
}

fn verdict(
    limits: Limits,
    whole: Counts,
    groups: &[(Group, Counts)],
    clusters: &[Numbered<'_>],
) -> Verdict {
    let mismatch_rate = limits.rate(&whole);
    let of_values = clusters.iter().filter(|(_, (key, _, _))| key.permit != Some(Permit::TextOnly));
    let mut clusters: Vec<_> = of_values.map(|(_, cluster)| cluster_report(cluster)).collect();
    // Stable, so that clusters of one size stay in their order.
    clusters.sort_by_key(|cluster| Reverse(cluster.records));
    Verdict {
        outcome: limits.outcome(&whole, mismatch_rate),
        records: whole.records,
        distinct: whole.distinct,
        mismatches: whole.mismatches,
        bound: Bound { confidence: limits.confidence, mismatch_rate },
        groups: groups.iter().map(|group| group_verdict(limits, group)).collect(),
        clusters,
    }
}

fn group_verdict(limits: Limits, (group, counts): &(Group, Counts)) -> GroupVerdict {
    let mismatch_rate = limits.rate(counts);
    GroupVerdict {
        model: group.model.clone(),
        client: group.client.clone(),
        records: counts.records,
        mismatches: counts.mismatches,
        mismatch_rate,
        outcome: limits.outcome(counts, mismatch_rate),
    }
}

fn cluster_report((key, cluster, example): &(Key, Cluster, Example)) -> ClusterReport {
    ClusterReport {
        field: key.field.clone(),
        kind: key.kind,
        model: key.model.clone(),
        clients: cluster.clients.keys().cloned().collect(),
        records: cluster.records,
        tolerated: key.permit.is_some(),
        example: example.record.id.clone(),
    }
}

/// The bounds of m groups hold together with a confidence if each holds with an m-th of the
/// remaining probability.
fn statistics(limits: Limits, whole: Counts, groups: &[(Group, Counts)]) -> Statistics {
    let each = 1.0 - (1.0 - limits.confidence) / groups.len().max(1) as f64;
    let rate = |counts: &Counts| limits.bound(counts.distinct_mismatches, counts.distinct, each);
    let mut weighted = 0.0;
    let mut worst: Option<Stratum> = None;
    for (group, counts) in groups {
        let mismatch_rate = rate(counts);
        weighted += mismatch_rate * counts.records as f64 / whole.records as f64;
        if worst.as_ref().is_none_or(|worst| worst.mismatch_rate < mismatch_rate) {
            let Group { model, client } = group.clone();
            worst = Some(Stratum { model, client, distinct: counts.distinct, mismatch_rate });
        }
    }
    let Counts { distinct, distinct_mismatches, .. } = whole;
    Statistics {
        distinct_mismatches,
        wilson: bound::wilson(distinct_mismatches, distinct, limits.confidence),
        anytime: bound::anytime(distinct_mismatches, distinct, limits.confidence),
        weighted: if groups.is_empty() { 1.0 } else { weighted },
        worst,
    }
}
