//! Mismatches that earlier reports know of: what broke once belongs into the suite.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::report::Report;
use crate::tally::Differing;

/// The file that each report's folder holds.
const FILE: &str = "report.json";

/// The records that mismatched.
pub(super) struct Past {
    /// Those that weren't met yet by their ids, and whether a report shows them in a cluster.
    awaited: HashMap<String, bool>,
    /// How many more of the others are selected.
    room: usize,
    summary: Summary,
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Summary {
    /// The mismatches that the reports name.
    pub(super) mismatches: usize,
    /// Those of them that the records hold.
    pub(super) found: usize,
    /// Those of them that were selected.
    pub(super) selected: usize,
}

impl Past {
    /// Reads the reports in the folders. All mismatches that they show in clusters are selected, and
    /// so many others.
    ///
    /// # Errors
    /// When a folder holds no report.
    pub(super) fn read(folders: &[PathBuf], room: usize) -> Result<Self, Error> {
        let mut awaited = HashMap::new();
        for folder in folders {
            let path = folder.join(FILE);
            let text = fs::read(&path).map_err(Error::file(&path))?;
            let report: Report = serde_json::from_slice(&text)
                .map_err(|error| Error::Usage(format!("`{}`: {error}", path.display())))?;
            for id in Differing::read(folder)?.into_ids() {
                awaited.entry(id).or_insert(false);
            }
            let shown = report.mismatches().flat_map(|cluster| &cluster.ids);
            awaited.extend(shown.map(|id| (id.clone(), true)));
        }
        let summary = Summary { mismatches: awaited.len(), ..Summary::default() };
        Ok(Self { awaited, room, summary })
    }

    /// Whether the record is selected, as it mismatched in an earlier report.
    pub(super) fn takes(&mut self, id: &str) -> bool {
        let Some(is_shown) = self.awaited.remove(id) else { return false };
        self.summary.found += 1;
        if !is_shown {
            let Some(room) = self.room.checked_sub(1) else { return false };
            self.room = room;
        }
        self.summary.selected += 1;
        true
    }

    /// How many mismatches there are, and what became of them.
    pub(super) fn summary(&self) -> Summary {
        self.summary
    }
}
