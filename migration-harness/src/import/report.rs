//! What an import has done and found, to be written and printed.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::audit::{Findings, printable};
use super::intake::Reading;
use crate::error::Error;

/// What an import has done and found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    reading: Reading,
    #[serde(flatten)]
    findings: Findings,
}

impl Report {
    /// Puts both together.
    pub(super) fn of(reading: Reading, mut findings: Findings) -> Self {
        findings.hints.splice(0..0, reading.hints());
        Self { reading, findings }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(std::io::Error::from);
        json.and_then(|json| std::fs::write(path, json)).map_err(Error::file(path))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reading, findings } = self;
        let files: Vec<_> =
            reading.files.iter().map(|(format, count)| format!("{count} {format}")).collect();
        writeln!(f, "{} records from files: {}", findings.records, files.join(", "))?;
        write!(f, "{findings}")?;
        for bad in &reading.first_bad {
            writeln!(f, "left out: {}: {}", bad.place, printable(&bad.reason))?;
        }
        Ok(())
    }
}
