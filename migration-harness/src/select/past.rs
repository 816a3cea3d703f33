//! Mismatches that earlier reports know of: what broke once belongs into the suite.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::report::Report;

/// The file that each report's folder holds.
const FILE: &str = "report.json";

/// The ids of records that mismatched.
pub(super) struct Past {
    ids: HashSet<String>,
    found: HashSet<String>,
}

/// How many there are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    /// The mismatches that the reports name.
    pub(super) mismatches: usize,
    /// Those of them that the records hold.
    pub(super) found: usize,
}

impl Past {
    /// Reads the reports in the folders.
    ///
    /// # Errors
    /// When a folder holds no report.
    pub(super) fn read(folders: &[PathBuf]) -> Result<Self, Error> {
        let mut ids = HashSet::new();
        for folder in folders {
            let path = folder.join(FILE);
            let text = fs::read(&path).map_err(Error::file(&path))?;
            let report: Report = serde_json::from_slice(&text)
                .map_err(|error| Error::Usage(format!("`{}`: {error}", path.display())))?;
            let mismatches = report.clusters.into_iter().filter(|c| c.permit.is_none());
            ids.extend(mismatches.flat_map(|cluster| cluster.ids));
        }
        Ok(Self { ids, found: HashSet::new() })
    }

    /// Whether the record mismatched in an earlier report.
    pub(super) fn holds(&mut self, id: &str) -> bool {
        let is_past = self.ids.contains(id);
        if is_past && !self.found.contains(id) {
            self.found.insert(id.to_owned());
        }
        is_past
    }

    /// How many mismatches there are, and how many were asked for.
    pub(super) fn summary(&self) -> Summary {
        Summary { mismatches: self.ids.len(), found: self.found.len() }
    }
}
