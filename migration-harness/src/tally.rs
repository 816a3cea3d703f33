//! Counts what the calls of a replay showed: in all, by model and client, and by kind of difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use crate::difference::Difference;
use crate::record::Request;

/// What one replayed record showed.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The record's line, from 1.
    pub(crate) line: u64,
    /// The record's id.
    pub(crate) id: String,
    /// Which model was called, and for whom.
    pub(crate) group: Group,
    /// Equal for equal requests.
    pub(crate) fingerprint: Fingerprint,
    /// The distinct differences; none for parity.
    pub(crate) differences: BTreeSet<Difference>,
    /// Why there was no answer, where there was none.
    pub(crate) failure: Option<String>,
}

/// The model of a call and the client that it was made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    /// The model.
    pub(crate) model: String,
    /// The client, where it is known.
    pub(crate) client: Option<String>,
}

/// The first half of a SHA-256 over what makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Model, method, path, content type, headers and body; each with its length, so that none
    /// runs into the next.
    pub(crate) fn of(model: &str, request: &Request) -> Self {
        let content_type = request.content_type.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        let headers =
            request.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts = [model, &request.method, &request.path, content_type];
        for part in parts.into_iter().chain(headers) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(&request.body.0);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(half)
    }
}

/// Everything that is remembered of a replay. Its size follows the distinct requests, not the
/// records.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// All records.
    pub(crate) whole: Counts,
    /// The records of each model and client.
    pub(crate) groups: BTreeMap<Group, Counts>,
    /// The records of each difference and model.
    pub(crate) clusters: BTreeMap<(Difference, String), Cluster>,
    /// The first record without an answer, by its line, and why.
    pub(crate) failure: Option<(u64, String)>,
}

/// How many records there are, and how many differ.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Records.
    pub(crate) records: u64,
    /// Records with at least one difference.
    pub(crate) mismatches: u64,
    /// Each distinct request, and whether it ever differed.
    requests: HashMap<Fingerprint, bool>,
}

/// The records that share a difference.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The clients of these records.
    pub(crate) clients: BTreeSet<String>,
    /// How many they are.
    pub(crate) records: u64,
    /// Line and id of the first of them.
    pub(crate) example: (u64, String),
}

impl Tally {
    /// Counts one record.
    pub(crate) fn add(&mut self, finding: &Finding) {
        self.whole.add(finding);
        self.groups.entry(finding.group.clone()).or_default().add(finding);
        for difference in &finding.differences {
            self.add_difference(difference, finding);
        }
        if let Some(reason) = &finding.failure
            && self.failure.as_ref().is_none_or(|(line, _)| finding.line < *line)
        {
            self.failure = Some((finding.line, reason.clone()));
        }
    }

    fn add_difference(&mut self, difference: &Difference, finding: &Finding) {
        let example = (finding.line, finding.id.clone());
        let cluster =
            self.clusters.entry((difference.clone(), finding.group.model.clone())).or_insert_with(
                || Cluster { clients: BTreeSet::new(), records: 0, example: example.clone() },
            );
        cluster.records += 1;
        cluster.clients.extend(finding.group.client.clone());
        if example < cluster.example {
            cluster.example = example;
        }
    }
}

impl Counts {
    fn add(&mut self, finding: &Finding) {
        let differs = !finding.differences.is_empty();
        self.records += 1;
        self.mismatches += u64::from(differs);
        *self.requests.entry(finding.fingerprint).or_default() |= differs;
    }

    /// How many distinct requests there are.
    pub(crate) fn distinct(&self) -> u64 {
        self.requests.len() as u64
    }

    /// How many distinct requests differed at least once.
    pub(crate) fn distinct_mismatches(&self) -> u64 {
        self.requests.values().filter(|differs| **differs).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::Kind;

    fn finding(line: u64, client: &str, request: u8, fields: &[&str]) -> Finding {
        Finding {
            line,
            id: format!("id-{line}"),
            group: Group { model: "spam".to_owned(), client: Some(client.to_owned()) },
            fingerprint: Fingerprint([request; 16]),
            differences: fields.iter().map(|f| Difference::whole(f, Kind::Value)).collect(),
            failure: None,
        }
    }

    fn tally(findings: &[Finding]) -> Tally {
        let mut tally = Tally::default();
        findings.iter().for_each(|finding| tally.add(finding));
        tally
    }

    #[test]
    fn a_record_with_several_differences_is_one_mismatch_in_several_clusters() {
        let tally = tally(&[finding(1, "a", 1, &["x", "y"]), finding(2, "a", 2, &[])]);
        assert_eq!((tally.whole.records, tally.whole.mismatches), (2, 1));
        assert_eq!(tally.clusters.len(), 2);
    }

    #[test]
    fn a_repeated_request_counts_once_and_differs_if_it_ever_did() {
        let tally = tally(&[finding(1, "a", 1, &[]), finding(2, "b", 1, &["x"])]);
        assert_eq!((tally.whole.distinct(), tally.whole.distinct_mismatches()), (1, 1));
        let groups: Vec<_> = tally.groups.values().map(Counts::distinct_mismatches).collect();
        assert_eq!(groups, [0, 1]);
    }

    #[test]
    fn the_example_is_the_first_record_in_whatever_order_answers_come() {
        let tally = tally(&[finding(10, "b", 1, &["x"]), finding(9, "a", 2, &["x"])]);
        let cluster = tally.clusters.values().next().unwrap();
        assert_eq!((cluster.records, cluster.example.1.as_str()), (2, "id-9"));
        assert!(cluster.clients.iter().eq(["a", "b"]));
    }
}
