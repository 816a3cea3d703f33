//! The folder of one variant of one endpoint, for as long as the endpoint serves it: its unpacked
//! model, its containers' working directory, and notes about those that run.

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
use crate::leftover::Note;
use crate::model_folder;
use crate::reason::Reason;
use crate::resource_name::ResourceName;
use crate::s3::{Buckets, Object};

/// A variant's folder; it may not be there yet.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// Where it is.
    path: PathBuf,
    /// Held while its model is brought and unpacked.
    preparing: Arc<Mutex<()>>,
}

impl Home {
    /// The folder inside `homes` of a variant of what an endpoint serves.
    pub(crate) fn of(homes: &Path, serving: Uuid, variant: &ResourceName) -> Self {
        let path = homes.join(serving.to_string()).join(variant.as_str());
        Self { path, preparing: Arc::default() }
    }

    /// The working directory of the variant's containers.
    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Makes the folder ready for a container, and tells where its model is; may take long. What
    /// was unpacked once is served until the endpoint goes, whatever becomes of the archive.
    pub(crate) async fn prepare(&self, source: &ModelSource) -> Result<PathBuf, Reason> {
        // However many containers start at once, the model comes and is unpacked once.
        let _one_at_a_time = self.preparing.lock().await;
        let unpacked = self.path.join("model");
        let found = {
            let (home, source, unpacked) = (self.clone(), source.clone(), unpacked.clone());
            in_background(move || home.find(&source, &unpacked)).await?
        };
        match found {
            Artifact::Folder(folder) => Ok(folder),
            Artifact::Archive(archive) => {
                let name = archive.display().to_string();
                self.unpack(archive, name).await.map(|()| unpacked)
            }
            Artifact::Object(object) => {
                self.fetch(source.buckets(), &object).await.map(|()| unpacked)
            }
        }
    }

    fn find(&self, source: &ModelSource, unpacked: &Path) -> Result<Artifact, Reason> {
        fs::create_dir_all(self.work()).map_err(|error| {
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
    async fn fetch(&self, buckets: &Buckets, object: &Object) -> Result<(), Reason> {
        let archive = Partial(self.path.join(format!("model.{}.tar.gz", Uuid::new_v4())));
        buckets.download(object, Bounds::MODEL.bytes, &archive.0).await?;
        self.unpack(archive.0.clone(), object.url()).await
    }

    /// Unpacks beside the model's place first, so that what is there is whole.
    async fn unpack(&self, archive: PathBuf, name: String) -> Result<(), Reason> {
        let into = self.path.join("model");
        let partial = Partial(self.path.join(format!("model.{}", Uuid::new_v4())));
        in_background(move || {
            archive::unpack(&archive, &partial.0, Bounds::MODEL)
                .and_then(|()| fs::rename(&partial.0, &into))
                .map_err(|error| Reason::new(format!("cannot unpack `{name}`: {error}")))
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
struct Partial(PathBuf);

impl Drop for Partial {
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
        drop(Partial(entry));
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
