//! One upload on its way: copied to a private place, compared with what runs, and deployed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch::Receiver;

use super::memory::Record;
use super::say;
use super::sighting::{Kind, Sighting, Trouble};
use super::source::Source;
use crate::release::check_name;
use crate::{Deployment, Error, Event, Limits, Target};

/// How long a watcher that is to end waits for an upload to be read: its server may have stalled.
const READ_WITHIN: Duration = Duration::from_secs(5);

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
    /// Turns true once the watcher is to end.
    pub(super) ending: Receiver<bool>,
}

/// What is remembered that bears on an upload.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// What was deployed last under its name.
    pub(super) deployed: Option<Record>,
    /// The hash of what was dealt with last under its key.
    pub(super) content: Option<String>,
    /// Whether it has been put there anew since.
    pub(super) is_put_anew: bool,
    /// Whether another deployment took the endpoint from that.
    pub(super) is_overtaken: bool,
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
    /// Its content has this hash, and another deployment took the endpoint from it, as told here.
    Overtaken(String, String),
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
        let content = tokio::select! {
            content = self.source.fetch(&sighting, &package) => content?,
            // Nothing has been begun; the next watcher sees it again.
            () = end(self.ending.clone()) => return Err(Trouble::Gone),
        };
        let deployed = past.deployed.as_ref().filter(|last| last.content == content);
        let is_same = past.content.as_ref() == Some(&content);
        let is_known = match deployed {
            // A new mode, or one more link for a backup, says nothing about what is to be live.
            _ if is_same && !past.is_put_anew => true,
            // It may have been rolled back since.
            Some(last) => self.is_live(&sighting.name, last).await?,
            None => is_same && !past.is_overtaken,
        };
        if is_known {
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

    /// Whether what was deployed last is still live.
    async fn is_live(&self, name: &str, last: &Record) -> Result<bool, Trouble> {
        let deployment = self.clone().deployment(name.to_owned(), PathBuf::new());
        deployment.is_live(&last.digest).await.map_err(|error| trouble(&error))
    }

    async fn deploy(
        self,
        sighting: Sighting,
        content: String,
        package: PathBuf,
    ) -> Result<Outcome, Trouble> {
        let started = Instant::now();
        let key = sighting.key.clone();
        let report = |event| match event {
            Event::Note(text) => say(&format!("deploying {key}: {text}")),
            Event::Done(..) => {}
        };
        let deployment = self.deployment(sighting.name, package);
        let deployed = match deployment.run(report).await {
            Ok(deployed) => deployed,
            Err(error) => return gave_way(&error, content).ok_or_else(|| trouble(&error)),
        };
        let (version, digest) = (deployed.version, deployed.digest);
        let (key, modified_ms) = (sighting.key, sighting.modified_ms);
        let record = Record { key, content, version, digest, modified_ms };
        Ok(Outcome::Deployed(record, started.elapsed()))
    }

    fn deployment(self, name: String, package: PathBuf) -> Deployment {
        let Self { target, router, limits, allow_workers, .. } = self;
        Deployment { package, name, target, router, limits, shadow: false, allow_workers }
    }
}

/// Resolves once the watcher is to end, and has waited for a while.
pub(super) async fn end(mut ending: Receiver<bool>) {
    let is_to_end = ending.wait_for(|is_ending| *is_ending).await.is_ok();
    // Without a word it has ended already, and this will with it.
    if !is_to_end {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(READ_WITHIN).await;
}

/// What became of an upload that was deployed at the same time as another, if that is the error:
/// trying again would undo what somebody, with a rollback for one, has just decided.
fn gave_way(error: &Error, content: String) -> Option<Outcome> {
    matches!(error, Error::Overtaken { .. }).then(|| Outcome::Overtaken(content, error.to_string()))
}

/// Whose fault a failed deployment is; in doubt, not the upload's.
fn trouble(error: &Error) -> Trouble {
    use model_container::Error::{Down, Overloaded, Read};
    let reason = error.to_string();
    match error {
        // The copy can't be read, or the machine is too busy for trying it.
        Error::Package(Read { .. } | Overloaded(_) | Down(_)) => Trouble::Later(reason),
        error if error.is_of_the_package() => Trouble::Fault(reason),
        _ => Trouble::Later(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn only_what_is_surely_the_packages_fault_is_blamed_on_it() {
        let path = PathBuf::from("spam.model");
        let reason = || "x".to_owned();
        let source = io::Error::from(io::ErrorKind::StorageFull);
        for error in [
            Error::Files { path: path.clone(), source },
            Error::endpoint("spam", "it did not come up"),
            Error::Unreachable { url: reason(), reason: reason() },
            Error::Refused { action: reason(), code: "ModelError".to_owned(), reason: reason() },
            Error::Refused { action: reason(), code: "status 422".to_owned(), reason: reason() },
            Error::Package(model_container::Error::Overloaded(reason())),
            Error::Package(model_container::Error::Read {
                path: path.clone(),
                source: io::Error::from(io::ErrorKind::PermissionDenied),
            }),
        ] {
            assert!(matches!(trouble(&error), Trouble::Later(_)), "{error}");
            assert!(gave_way(&error, reason()).is_none(), "{error}");
        }
        for error in [
            Error::Unfit { path, reason: reason() },
            Error::Name { name: reason() },
            Error::Worker { name: reason() },
        ] {
            assert!(matches!(trouble(&error), Trouble::Fault(_)), "{error}");
        }
    }

    #[test]
    fn what_another_deployment_decided_is_not_undone() {
        let given = gave_way(&Error::overtaken("spam", "spam-1"), "hash".to_owned());
        let Some(Outcome::Overtaken(content, reason)) = given else { panic!("{given:?}") };
        assert!(content == "hash" && reason.contains("spam-1"), "{reason}");
    }
}
