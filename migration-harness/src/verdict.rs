//! The verdict on a replay, and `verdict.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::fs;

use crate::difference::Kind;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::report;
use crate::whole;

/// The file in the report's folder.
const FILE: &str = "verdict.json";

/// What a replay showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Of all records together.
    pub(crate) outcome: Outcome,
    /// How many records were replayed.
    pub(crate) records: u64,
    /// How many distinct requests they hold.
    pub(crate) distinct: u64,
    /// How many records differ.
    pub(crate) mismatches: u64,
    /// What remains possible.
    pub(crate) bound: Bound,
    /// By model and client.
    pub(crate) groups: Vec<GroupVerdict>,
    /// The differences, the most frequent first.
    pub(crate) clusters: Vec<ClusterReport>,
}

/// The largest mismatch rate that the replay leaves possible.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bound {
    /// At this confidence.
    pub(crate) confidence: f64,
    /// Of distinct requests.
    pub(crate) mismatch_rate: f64,
}

/// The records of one model and client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupVerdict {
    /// The model.
    pub(crate) model: String,
    /// The client; null where records name none.
    pub(crate) client: Option<String>,
    /// How many there are.
    pub(crate) records: u64,
    /// How many of them differ.
    pub(crate) mismatches: u64,
    /// The bound over the group's distinct requests.
    pub(crate) mismatch_rate: f64,
    /// Of this group alone.
    pub(crate) outcome: Outcome,
}

/// The records of one model that differ in the same way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClusterReport {
    /// The path of the field.
    pub(crate) field: String,
    /// How it differs.
    pub(crate) kind: Kind,
    /// The model.
    pub(crate) model: String,
    /// The clients of these records.
    pub(crate) clients: Vec<String>,
    /// How many there are.
    pub(crate) records: u64,
    /// Whether something permits the difference.
    pub(crate) tolerated: bool,
    /// The id of the smallest of these records.
    pub(crate) example: String,
}

impl Verdict {
    /// The worst outcome among the groups and the whole.
    pub(crate) fn worst(&self) -> Outcome {
        self.groups.iter().map(|group| group.outcome).fold(self.outcome, Outcome::max)
    }

    /// Writes `verdict.json` into the folder, whole or not at all.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_json(folder, FILE, self)
    }
}

/// Makes the report's folder and removes the report of an earlier run, which would pass for this
/// one's if it fails.
///
/// # Errors
/// When the folder can't be made or written to.
pub(crate) async fn prepare(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).await.map_err(Error::file(folder))?;
    for file in [FILE].into_iter().chain(report::FILES) {
        let path = folder.join(file);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
