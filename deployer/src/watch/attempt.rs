//! One upload on its way: copied to a private place, compared with what runs, and deployed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::memory::Record;
use super::sighting::{Kind, Sighting, Trouble};
use super::source::Source;
use crate::release::check_name;
use crate::{Deployment, Error, Limits, Target};

/// How uploads are deployed.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Where they come from.
    pub(super) source: Source,
    /// Where they are copied to.
    pub(super) staging: PathBuf,
    /// Where endpoints live.
    pub(super) target: Target,
    /// The router's URL, where models are to be registered.
    pub(super) router: Option<String>,
    /// What endpoints may use.
    pub(super) limits: Limits,
    /// Whether packages may be programs.
    pub(super) allow_workers: bool,
}

/// What is remembered that bears on an upload.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// What was deployed last under its name.
    pub(super) deployed: Option<Record>,
    /// The hash of what was dealt with last under its key.
    pub(super) content: Option<String>,
}

/// What became of an upload without trouble.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is live, after this time.
    Deployed(Record, Duration),
    /// Its content, of this hash, was dealt with before.
    Unchanged(String),
    /// Its content has this hash, and something newer was deployed under its name.
    Older(String, Record),
}

impl Attempt {
    /// Deploys an upload, unless the past makes it needless.
    pub(super) async fn run(self, sighting: Sighting, past: Past) -> Result<Outcome, Trouble> {
        check_name(&sighting.name).map_err(|error| trouble(&error))?;
        let newer = past.deployed.as_ref().filter(|last| sighting.modified_ms < last.modified_ms);
        if let (Some(newer), Kind::Whole) = (newer, &sighting.kind) {
            return Ok(Outcome::Older(String::new(), newer.clone()));
        }
        let private = tempfile::tempdir_in(&self.staging).map_err(|error| {
            Trouble::Later(format!("can't write to `{}`: {error}", self.staging.display()))
        })?;
        let package = private.path().join(&sighting.key);
        let content = self.source.fetch(&sighting, &package).await?;
        let is_deployed = past.deployed.as_ref().is_some_and(|last| last.content == content);
        if is_deployed || past.content.as_ref() == Some(&content) {
            return Ok(Outcome::Unchanged(content));
        }
        if let Some(newer) = newer {
            return Ok(Outcome::Older(content, newer.clone()));
        }
        self.deploy(sighting, content, package).await.map_err(|trouble| {
            // The copy's path means nothing to whoever dropped the file.
            trouble.replace(&format!("{}/", private.path().display()), "")
        })
    }

    async fn deploy(
        self,
        sighting: Sighting,
        content: String,
        package: PathBuf,
    ) -> Result<Outcome, Trouble> {
        let started = Instant::now();
        let deployment = Deployment {
            package,
            name: sighting.name,
            target: self.target,
            router: self.router,
            limits: self.limits,
            shadow: false,
            allow_workers: self.allow_workers,
        };
        let deployed = deployment.run(|_| ()).await.map_err(|error| trouble(&error))?;
        let (version, digest) = (deployed.version, deployed.digest);
        let (key, modified_ms) = (sighting.key, sighting.modified_ms);
        let record = Record { key, content, version, digest, modified_ms };
        Ok(Outcome::Deployed(record, started.elapsed()))
    }
}

/// Whose fault a failed deployment is.
fn trouble(error: &Error) -> Trouble {
    let reason = error.to_string();
    if error.is_of_the_package() { Trouble::Fault(reason) } else { Trouble::Later(reason) }
}
