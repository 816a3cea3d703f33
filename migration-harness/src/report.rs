//! Everything that is known at the end of a comparison: `report.json`, which every other form of
//! the report is made from.

mod command;
mod files;
mod terminal;
mod table;
mod junit;
mod markdown;
mod html;
mod words;
mod figures;
#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::difference::{Kind, Permit};
use crate::error::Error;
use crate::outcome::{Limits, Outcome};
use crate::tally::{Differing, Failure};
use crate::verdict::{GroupVerdict, Verdict};

pub use command::ReportArgs;
pub(crate) use command::{read, report};
pub(crate) use files::{FILES, write_all};
pub(crate) use terminal::print;

/// Writes the report in all its forms, the verdict last of all, and prints its summary.
///
/// # Errors
/// When the folder can't be written to.
pub(crate) fn publish(report: &Report, folder: &Path) -> Result<(), Error> {
    write_all(report, folder)?;
    report.verdict.write(folder)?;
    terminal::print(report);
    Ok(())
}

/// The verdict, and what people need to understand it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What `verdict.json` says.
    pub(crate) verdict: Verdict,
    /// What had to be shown.
    pub(crate) limits: Limits,
    /// What was compared, and when.
    pub(crate) run: Run,
    /// How long calls took; none where none were made.
    pub(crate) timing: Option<Timing>,
    /// Every difference, also those of text only; mismatches first, then the most frequent.
    pub(crate) clusters: Vec<ClusterDetail>,
    /// What the bound is made of, and other bounds.
    #[serde(default)]
    pub(crate) statistics: Statistics,
    /// The first record that the target gave no answer to.
    #[serde(default)]
    pub(crate) failure: Option<Failure>,
    /// Which records differ; a file of its own.
    #[serde(skip)]
    pub(crate) differing: Differing,
    /// How many answers of a new side belong to no record of the old one.
    #[serde(default)]
    pub(crate) only_in_new: u64,
    /// How many records were passed over: the capture could not keep their calls whole.
    #[serde(default)]
    pub(crate) incomplete: u64,
    /// How many calls a watch has passed on without comparing them, by the reason in words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) not_compared: BTreeMap<String, u64>,
}

/// What is known of the mismatch rate beyond the verdict's bound.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Statistics {
    /// How many distinct requests differed at least once.
    pub(crate) distinct_mismatches: u64,
    /// The one-sided Wilson bound, as other tools show it; too small where few records differ.
    pub(crate) wilson: f64,
    /// The bound that holds at every moment of a run at once: the one to quote where a run was
    /// stopped for what it showed.
    #[serde(default)]
    pub(crate) anytime: f64,
    /// The bounds of all groups, each weighted with the group's share of the records. They hold
    /// together with the confidence asked for, so each is wider than the verdict's for its group.
    pub(crate) weighted: f64,
    /// The group with the largest of these bounds.
    pub(crate) worst: Option<Stratum>,
}

/// A group, and a bound that holds together with those of all other groups.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stratum {
    /// The model.
    pub(crate) model: String,
    /// The client; null where records name none.
    pub(crate) client: Option<String>,
    /// How many distinct requests it has.
    pub(crate) distinct: u64,
    /// The bound on its mismatch rate.
    pub(crate) mismatch_rate: f64,
}

impl Report {
    /// Whether it is about calls as they come, of which no records are kept.
    pub(crate) fn is_live(&self) -> bool {
        self.run.command == "watch"
    }

    /// The differences that nothing permits.
    pub(crate) fn mismatches(&self) -> impl Iterator<Item = &ClusterDetail> {
        self.clusters.iter().filter(|cluster| cluster.permit.is_none())
    }

    /// The differences that a rule or the legacy system's own noise permits.
    pub(crate) fn tolerated(&self) -> impl Iterator<Item = &ClusterDetail> {
        let is_tolerated = |permit: &Permit| *permit != Permit::TextOnly;
        self.clusters
            .iter()
            .filter(move |cluster| cluster.permit.as_ref().is_some_and(is_tolerated))
    }

    /// The differences of text only.
    pub(crate) fn text_only(&self) -> impl Iterator<Item = &ClusterDetail> {
        self.clusters.iter().filter(|cluster| cluster.permit == Some(Permit::TextOnly))
    }

    /// The groups: broken before unproven ones, and the largest bound first.
    pub(crate) fn groups_worst_first(&self) -> Vec<&GroupVerdict> {
        let mut groups: Vec<_> = self.verdict.groups.iter().collect();
        let badness = |group: &GroupVerdict| (group.outcome, group.mismatch_rate);
        groups.sort_by(|one, other| {
            let ((outcome, rate), (other_outcome, other_rate)) = (badness(other), badness(one));
            outcome.cmp(&other_outcome).then(rate.total_cmp(&other_rate))
        });
        groups
    }

    /// How many groups there are of an outcome.
    pub(crate) fn groups_of(&self, outcome: Outcome) -> usize {
        self.verdict.groups.iter().filter(|group| group.outcome == outcome).count()
    }
}

/// What was compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The command: `replay`, `diff`, `merge` or `watch`.
    pub(crate) command: String,
    /// The version of this program.
    pub(crate) version: String,
    /// The captured calls.
    pub(crate) records: String,
    /// The target, or the file of its answers.
    pub(crate) target: String,
    /// The file of rules.
    pub(crate) rules: Option<String>,
    /// The file of the legacy system's answers to being asked once more.
    pub(crate) noise: Option<String>,
    /// The part of the records, such as `0/8`.
    pub(crate) shard: Option<String>,
    /// When the run began, the first time.
    pub(crate) started_at: Timestamp,
    /// When it ended.
    pub(crate) finished_at: Timestamp,
    /// How often it was taken up again after it was interrupted.
    pub(crate) resumed: u64,
}

/// How long calls took, and what came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// How long calls were made.
    pub(crate) seconds: f64,
    /// Calls a second.
    pub(crate) rate: f64,
    /// From the moment a request was sent to the end of its answer.
    pub(crate) service: Latencies,
    /// From the moment a request should have been sent: what a caller would have waited.
    pub(crate) response: Latencies,
    /// How much later than intended requests were sent.
    pub(crate) lateness: Latencies,
    /// What the captured calls took.
    pub(crate) captured: Option<Latencies>,
    /// The answers of each status.
    pub(crate) statuses: BTreeMap<u16, u64>,
}

/// A distribution of times, in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// How many.
    pub(crate) count: u64,
    /// Their mean.
    pub(crate) mean_us: f64,
    /// Half took at most this.
    pub(crate) p50_us: u64,
    /// Nine in ten.
    pub(crate) p90_us: u64,
    /// 99 in a hundred.
    pub(crate) p99_us: u64,
    /// 999 in a thousand.
    pub(crate) p999_us: u64,
    /// The longest.
    pub(crate) max_us: u64,
    /// Upper end and count of buckets that are each a tenth to a quarter wider than the last.
    pub(crate) buckets: Vec<(u64, u64)>,
}

/// The records of one model that differ in the same way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClusterDetail {
    /// The path of the field.
    pub(crate) field: String,
    /// How it differs.
    pub(crate) kind: Kind,
    /// The model.
    pub(crate) model: String,
    /// What permits the difference.
    pub(crate) permit: Option<Permit>,
    /// How many records there are.
    pub(crate) records: u64,
    /// How many of the model's records that is, from 0 to 1.
    pub(crate) share: f64,
    /// How many of them each client has.
    pub(crate) clients: BTreeMap<String, u64>,
    /// What sets these records apart from the model's others; the most telling first.
    pub(crate) features: Vec<Feature>,
    /// In how many records the legacy system itself differs in this field, when asked once more.
    pub(crate) noise: u64,
    /// How far numbers are apart.
    pub(crate) distances: Option<Distances>,
    /// The smallest record, with both replies.
    pub(crate) example: ExampleDetail,
    /// The ids of the first of the records, at most twenty.
    pub(crate) ids: Vec<String>,
}

/// Something that records of a cluster have in common, such as `client toybox` or `text: emoji`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Feature {
    /// In words.
    pub(crate) name: String,
    /// The share of the cluster's records that have it.
    pub(crate) inside: f64,
    /// The share of the model's other records that have it.
    pub(crate) outside: f64,
}

/// How far numbers of a cluster are apart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Distances {
    /// The smallest distance.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// For each power of ten, how many distances are below the next.
    pub(crate) powers_of_ten: BTreeMap<i32, u64>,
}

/// A call that shows the difference.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExampleDetail {
    /// How many records stand before it.
    pub(crate) sequence: u64,
    /// The captured call, in the form of records; long bodies are cut.
    pub(crate) record: Value,
    /// What the target replied: `response`, `error`, `latency_us`, as in records.
    pub(crate) reply: Value,
    /// A `curl` command that sends the request again.
    pub(crate) curl: Option<String>,
}

impl ExampleDetail {
    /// The record's id.
    pub(crate) fn id(&self) -> &str {
        self.record["id"].as_str().unwrap_or_default()
    }
}
