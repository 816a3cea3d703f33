//! Where uploads come from: a folder, or a prefix in S3.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::Folder;
use super::prefix::Prefix;
use super::sighting::{Sighting, Trouble};
use crate::Error;
use crate::s3::{self, Bucket};

/// A place of uploads.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A folder on this machine.
    Folder(Folder),
    /// Objects in S3.
    Prefix(Prefix),
}

impl Source {
    /// The place that a path or an `s3://` URL names.
    pub(super) async fn open(place: &str) -> Result<Self, Error> {
        if place.starts_with("s3://") {
            let bucket = Bucket::parse(place, &s3::config().await)?;
            return Ok(Self::Prefix(Prefix { bucket }));
        }
        let path = Path::new(place).canonicalize();
        let path = path.map_err(|error| Error::Source { reason: unreadable(place, &error) })?;
        Ok(Self::Folder(Folder { path }))
    }

    /// Its path or URL.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.path.display().to_string(),
            Self::Prefix(prefix) => prefix.bucket.url(""),
        }
    }

    /// How often it is looked at, where nothing else is said.
    pub(super) fn interval(&self) -> Duration {
        match self {
            Self::Folder(_) => Duration::from_millis(500),
            Self::Prefix(_) => Duration::from_secs(2),
        }
    }

    /// Where the watcher keeps its memory, where nothing else is said.
    pub(super) fn state(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path.join(".gatehouse"),
            Self::Prefix(prefix) => {
                let url = prefix.bucket.url("");
                let name = url.trim_start_matches("s3://").trim_end_matches('/');
                Path::new("data/watch").join(name.replace('/', "-"))
            }
        }
    }

    /// What there is that may be a model.
    pub(super) async fn look(&self) -> Result<Vec<Sighting>, String> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                let look = tokio::task::spawn_blocking(move || folder.look()).await;
                look.unwrap_or_else(|error| Err(error.to_string()))
            }
            Self::Prefix(prefix) => prefix.look().await.map_err(|error| error.to_string()),
        }
    }

    /// Copies an upload to a private place, and tells the hash of its content.
    pub(super) async fn fetch(&self, sighting: &Sighting, to: &Path) -> Result<String, Trouble> {
        match self {
            Self::Folder(folder) => {
                let (folder, sighting, to) = (folder.clone(), sighting.clone(), to.to_owned());
                let fetch = tokio::task::spawn_blocking(move || folder.fetch(&sighting, &to)).await;
                fetch.unwrap_or_else(|error| Err(Trouble::Later(error.to_string())))
            }
            Self::Prefix(prefix) => prefix.fetch(sighting, to).await,
        }
    }

    /// Moves an upload to the quarantine with the reason beside it, and tells where it is.
    pub(super) async fn quarantine(
        &self,
        sighting: &Sighting,
        reason: &str,
    ) -> Result<String, Trouble> {
        match self {
            Self::Folder(folder) => folder.quarantine(sighting, reason),
            Self::Prefix(prefix) => prefix.quarantine(sighting, reason).await,
        }
    }
}

fn unreadable(place: &str, error: &std::io::Error) -> String {
    format!("`{place}` can't be watched: {error}")
}
