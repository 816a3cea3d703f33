//! `watch.json`: what is watched, and how far the last report came.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::metrics::Missed;
use crate::error::Error;
use crate::report::Timing;
use crate::whole;

/// The file in the folder of counts.
const FILE: &str = "watch.json";

/// What makes two watches the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parameters {
    /// The legacy system.
    pub(super) upstream: String,
    /// Who is compared with it.
    pub(super) target: String,
    /// The names of the headers that its requests get.
    pub(super) headers: Vec<String>,
    /// The file of rules.
    pub(super) rules: Option<String>,
    /// The digest of what it holds.
    pub(super) rules_digest: Option<String>,
}

/// What was counted until the last report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    schema_version: u32,
    version: String,
    /// What is watched.
    pub(super) parameters: Parameters,
    /// When it was begun, and when it was taken up again.
    pub(super) runs: Vec<Timestamp>,
    /// How many reports there were; the last one's counts are in the folder of this number.
    pub(super) reports: u64,
    /// How many records were compared.
    pub(super) records: u64,
    /// How long calls took.
    pub(super) timing: Option<Timing>,
    /// How many calls were not compared.
    pub(super) missed: BTreeMap<Missed, u64>,
}

impl State {
    /// Nothing yet.
    pub(super) fn new(parameters: Parameters) -> Self {
        Self {
            schema_version: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            parameters,
            runs: vec![Timestamp::now()],
            reports: 0,
            records: 0,
            timing: None,
            missed: BTreeMap::new(),
        }
    }

    /// What the folder holds, if anything.
    ///
    /// # Errors
    /// When that can't be read.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::file(&path))?,
        };
        let state = serde_json::from_slice(&text).map_err(|error| {
            let path = path.display();
            Error::Usage(format!(
                "`{path}` is of another version ({error}); `--fresh` gives it up and begins anew"
            ))
        })?;
        Ok(Some(state))
    }

    /// Gives up what the folder holds, whatever that is.
    ///
    /// # Errors
    /// When it can't be removed.
    pub(super) fn remove(folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Goes on in another run.
    ///
    /// # Errors
    /// When something else is to be watched.
    pub(super) fn again(mut self, out: &Path, parameters: &Parameters) -> Result<Self, Error> {
        if let Some(what) = self.parameters.difference(parameters) {
            let out = out.display();
            return Err(Error::Usage(format!(
                "`{out}` holds a watch with {what}; `--fresh` gives it up and begins anew"
            )));
        }
        self.runs.push(Timestamp::now());
        Ok(self)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_json(folder, FILE, self)
    }
}

impl Parameters {
    /// In what another watch differs, for people.
    fn difference(&self, other: &Self) -> Option<String> {
        let Self { upstream, target, headers, rules, rules_digest } = self;
        if *upstream != other.upstream {
            Some(format!("the upstream `{upstream}`"))
        } else if *target != other.target {
            Some(format!("the target `{target}`"))
        } else if *rules_digest != other.rules_digest {
            Some(format!("other rules (`{}`)", rules.as_deref().unwrap_or("none")))
        } else {
            (*headers != other.headers).then(|| "other request headers".to_owned())
        }
    }
}
