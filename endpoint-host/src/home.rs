//! The folder that belongs to one endpoint and disappears with it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::archive::{self, Bounds};
use crate::artifact::Artifact;
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
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove `{}`: {error}", self.path.display());
        }
    }
}
