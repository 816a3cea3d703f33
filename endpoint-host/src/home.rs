//! The folder that belongs to one endpoint and disappears with it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use tokio::runtime::Handle;

use crate::archive::{self, Bounds};
use crate::artifact::Artifact;
use crate::leftover::Note;
use crate::reason::Reason;

/// An endpoint's folder; removed when the last owner lets go of it.
#[derive(Debug)]
pub(crate) struct Home {
    /// Where it is.
    path: PathBuf,
}

impl Home {
    /// A new folder inside `homes`.
    pub(crate) fn new(homes: &Path) -> Self {
        Self { path: homes.join(uuid::Uuid::new_v4().to_string()) }
    }

    /// The working directory of the endpoint's containers.
    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Where `artifact` can be read once the home is prepared.
    pub(crate) fn model(&self, artifact: &Artifact) -> PathBuf {
        match artifact {
            Artifact::Folder(folder) => folder.clone(),
            Artifact::Archive(_) => self.path.join("model"),
        }
    }

    /// Creates the folder and unpacks an archive into it; may take long.
    pub(crate) fn prepare(&self, artifact: &Artifact) -> Result<(), Reason> {
        fs::create_dir_all(self.work()).map_err(|error| {
            Reason::new(format!("cannot create the endpoint's folder: {error}"))
        })?;
        let Artifact::Archive(archive) = artifact else {
            return Ok(());
        };
        archive::unpack(archive, &self.model(artifact), Bounds::MODEL)
            .map_err(|error| Reason::new(format!("cannot unpack `{}`: {error}", archive.display())))
    }

    /// Notes that the container `pid` runs; without a note it runs as well.
    pub(crate) fn note(&self, pid: Pid) -> Option<Note> {
        Note::write(&self.path, pid)
            .inspect_err(|error| tracing::warn!("cannot note down a container: {error}"))
            .ok()
    }

    /// Removes the folder; may take long.
    pub(crate) fn remove(&self) {
        remove(&self.path);
    }
}

/// Covers endpoints that failed, whose owners only let go.
impl Drop for Home {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&path))),
            Err(_) => remove(&path),
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!("cannot remove `{}`: {error}", path.display());
    }
}
