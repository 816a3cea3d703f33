//! The folder of one variant of one endpoint, for as long as the endpoint serves it: its unpacked
//! model and notes about containers that run, each of which has a folder of its own to work in.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Pid;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::archive::{self, Bounds};
use crate::artifact::{Artifact, ModelSource};
use crate::attempt::Attempt;
use crate::leftover::Note;
use crate::model_folder;
use crate::reason::Reason;
use crate::resource_name::ResourceName;
use crate::s3::{Buckets, Object};

/// Where containers work, beside the endpoints' folders; a short path, since sockets are opened in it.
const WORK: &str = "work";

/// A variant's folder; it may not be there yet.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// Where it is.
    path: PathBuf,
    /// Where its containers' folders are.
    work: PathBuf,
    /// Held while its model is brought and unpacked.
    preparing: Arc<Mutex<()>>,
}

impl Home {
    /// The folder inside `homes` of a variant of what an endpoint serves.
    pub(crate) fn of(homes: &Path, serving: Uuid, variant: &ResourceName) -> Self {
        let path = homes.join(serving.to_string()).join(variant.as_str());
        Self { path, work: homes.join(WORK), preparing: Arc::default() }
    }

    /// A new folder for one container to work in, which goes with it.
    pub(crate) fn new_work(&self) -> io::Result<Temporary> {
        fs::create_dir_all(&self.work)?;
        let work = self.work.join(format!("{:012x}", fastrand::u64(..1 << 48)));
        fs::create_dir(&work)?;
        Ok(Temporary(work))
    }

    /// Makes the folder ready for a container, and tells where its model is; may take long. What
    /// was unpacked once is served until the endpoint goes, whatever becomes of the archive.
    pub(crate) async fn prepare(
        &self,
        source: &ModelSource,
        attempt: &Attempt,
    ) -> Result<PathBuf, Reason> {
        // However many containers start at once, the model comes and is unpacked once.
        let _one_at_a_time = attempt.within(self.preparing.lock()).await?;
        let unpacked = self.path.join("model");
        let found = {
            let (home, source, unpacked) = (self.clone(), source.clone(), unpacked.clone());
            in_background(move || home.find(&source, &unpacked)).await?
        };
        match found {
            Artifact::Folder(folder) => Ok(folder),
            Artifact::Archive(archive) => {
                let name = archive.display().to_string();
                self.unpack(archive, name, attempt).await.map(|()| unpacked)
            }
            Artifact::Object(object) => {
                self.fetch(source.buckets(), &object, attempt).await.map(|()| unpacked)
            }
        }
    }

    fn find(&self, source: &ModelSource, unpacked: &Path) -> Result<Artifact, Reason> {
        fs::create_dir_all(&self.path).map_err(|error| {
            Reason::new(format!("cannot create the endpoint's folder: {error}"))
        })?;
        if unpacked.exists() {
            return Ok(Artifact::Folder(unpacked.to_owned()));
        }
        let found = source.find()?;
        if let Artifact::Folder(folder) = &found {
            model_folder::check(folder)?;
        }
        Ok(found)
    }

    /// Brings the archive beside what it is unpacked to, and removes it afterwards.
    async fn fetch(
        &self,
        buckets: &Buckets,
        object: &Object,
        attempt: &Attempt,
    ) -> Result<(), Reason> {
        let archive = Temporary(self.path.join(format!("model.{}.tar.gz", Uuid::new_v4())));
        let download = buckets.download(object, Bounds::MODEL.bytes, &archive.0);
        attempt.within(download).await??;
        self.unpack(archive.0.clone(), object.url(), attempt).await
    }

    /// Unpacks beside the model's place first, so that what is there is whole. Nothing is unpacked
    /// any more once this has ended.
    async fn unpack(
        &self,
        archive: PathBuf,
        name: String,
        attempt: &Attempt,
    ) -> Result<(), Reason> {
        let into = self.path.join("model");
        let partial = Temporary(self.path.join(format!("model.{}", Uuid::new_v4())));
        let attempt = attempt.clone();
        in_background(move || {
            archive::unpack(&archive, &partial.0, Bounds::MODEL, &attempt)
                .and_then(|()| fs::rename(&partial.0, &into))
                .map_err(|error| {
                    let broken = || Reason::new(format!("cannot unpack `{name}`: {error}"));
                    attempt.over().unwrap_or_else(broken)
                })
        })
        .await
    }

    /// Notes that the container `pid` runs, in a control group or not; without a note it runs as
    /// well.
    pub(crate) fn note(&self, pid: Pid, group: Option<&Path>) -> Option<Note> {
        Note::write(&self.path, pid, group)
            .inspect_err(|error| tracing::warn!("cannot note down a container: {error}"))
            .ok()
    }
}

/// A file or folder that is gone once it is not needed any more.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.0.is_dir() {
            fs::remove_dir_all(&self.0).ok();
        } else {
            fs::remove_file(&self.0).ok();
        }
    }
}

/// Runs what may take long beside the tasks.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Reason> + Send + 'static,
) -> Result<T, Reason> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Reason::new(format!("preparing failed: {error}"))))
}

/// Removes the folders of what an endpoint served; may take long.
pub(crate) async fn remove(homes: &Path, serving: Uuid) {
    let path = homes.join(serving.to_string());
    spawn_blocking(move || remove_folder(&path)).await.ok();
}

/// Removes what no endpoint serves any more, and what containers of an earlier host worked on.
pub(crate) fn remove_all_but(homes: &Path, servings: &HashSet<Uuid>) {
    for serving in entries(homes) {
        let id = serving.file_name().and_then(|name| name.to_str()?.parse().ok());
        if id.is_some_and(|id| servings.contains(&id)) {
            entries(&serving).for_each(|variant| tidy(&variant));
        } else {
            remove_folder(&serving);
        }
    }
}

/// Leaves only the unpacked model.
fn tidy(variant: &Path) {
    for entry in entries(variant).filter(|entry| !entry.ends_with("model")) {
        drop(Temporary(entry));
    }
}

fn remove_folder(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!("cannot remove `{}`: {error}", path.display());
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let listed: io::Result<Vec<_>> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    listed.unwrap_or_default().into_iter()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::artifact::ModelRoots;

    /// A model of half a gigabyte of zeros.
    fn large_model(folder: &Path) -> ModelSource {
        let script = "import os, sys, tarfile; size = 1 << 29; \
                      os.truncate(os.open('zeros', os.O_CREAT | os.O_WRONLY), size); \
                      tarfile.open('large.tar.gz', 'w:gz', compresslevel=1).add('zeros')";
        let packed = Command::new("python3").args(["-c", script]).current_dir(folder).status();
        assert!(packed.unwrap().success());
        let own = folder.join("own");
        fs::create_dir(&own).unwrap();
        let roots = Arc::new(ModelRoots::open(folder, &own, &[]).unwrap());
        ModelSource::new(&roots, &format!("file://{}/large.tar.gz", folder.display()))
    }

    #[tokio::test]
    async fn a_model_is_unpacked_no_further_once_its_endpoint_is_stopped() {
        let homes = tempfile::tempdir().unwrap();
        let source = large_model(homes.path());
        let home = Home::of(homes.path(), Uuid::nil(), &ResourceName::parse("all").unwrap());
        let stop = CancellationToken::new();
        let attempt = Attempt::new(&stop);
        let path = home.path.clone();
        let unpacking = tokio::spawn(async move { home.prepare(&source, &attempt).await });
        while entries(&path).next().is_none() {
            assert!(!unpacking.is_finished());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        assert!(unpacking.await.unwrap().unwrap_err().is_closed());
        assert_eq!(entries(&path).count(), 0);
    }
}
