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

    /// Finds whether packages go elsewhere: one that is deployed must not be taken for an upload.
    pub(super) fn check_apart(&self, upload: &str) -> Result<(), Error> {
        let is_apart = match self {
            Self::Folder(_) if upload.starts_with("s3://") => true,
            Self::Folder(folder) => {
                let upload = resolved(Path::new(upload));
                !upload.starts_with(&folder.path) && !folder.path.starts_with(&upload)
            }
            // Only what is directly under the prefix is looked at.
            Self::Prefix(prefix) if upload.starts_with("s3://") => !prefix.bucket.is_at(upload)?,
            Self::Prefix(_) => true,
        };
        if is_apart {
            return Ok(());
        }
        let reason = format!(
            "packages go to `{upload}` (--upload), and `{}` is watched: neither may lie in the \
             other; give --upload another place",
            self.name()
        );
        Err(Error::Source { reason })
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

/// A path without links, though its last folders may not exist.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for existing in path.ancestors() {
        if let (Ok(found), Ok(missing)) = (existing.canonicalize(), path.strip_prefix(existing)) {
            return found.join(missing);
        }
    }
    path
}

fn unreadable(place: &str, error: &std::io::Error) -> String {
    format!("`{place}` can't be watched: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_packages_go_to_is_not_watched_nor_one_around_or_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let (watched, beside) = (dir.path().join("uploads"), dir.path().join("uploads-2"));
        std::fs::create_dir_all(watched.join("sub")).unwrap();
        std::os::unix::fs::symlink(&watched, dir.path().join("link")).unwrap();
        let source = Source::open(watched.to_str().unwrap()).await.unwrap();
        let check = |upload: &Path| source.check_apart(upload.to_str().unwrap());
        for upload in ["uploads", "uploads/sub", "uploads/not/yet", "", "link", "link/new"] {
            let error = check(&dir.path().join(upload)).unwrap_err().to_string();
            assert!(error.contains("--upload"), "{upload}: {error}");
        }
        assert!(check(&beside).is_ok() && source.check_apart("s3://bucket/uploads").is_ok());
    }

    #[tokio::test]
    async fn a_prefix_that_packages_go_to_is_not_watched() {
        let source = Source::open("s3://bucket/uploads").await.unwrap();
        for upload in ["s3://bucket/uploads/", "s3://bucket//uploads", "s3://bucket/uploads//"] {
            let error = source.check_apart(upload).unwrap_err().to_string();
            assert!(error.contains("--upload"), "{upload}: {error}");
        }
        for upload in ["s3://bucket/uploads/deployed", "s3://bucket", "s3://other/uploads", "dir"] {
            assert!(source.check_apart(upload).is_ok(), "{upload}");
        }
    }
}
