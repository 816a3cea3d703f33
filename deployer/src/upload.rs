//! Copies a package to where the endpoint host reads it, under a name with its digest.

use std::fs;
use std::path::{Path, PathBuf};

use model_container::Package;

use crate::Error;

/// Copies the package into `folder/NAME-DIGEST`; a copy that is there already is complete.
pub(crate) fn upload(package: &Package, folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let target = folder.join(name);
    if !target.exists() {
        let partial = folder.join(format!(".{name}.{}", std::process::id()));
        copy(&package.dir, &partial)?;
        fs::rename(&partial, &target).map_err(at(&target))?;
    }
    target.canonicalize().map_err(at(&target))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if fs::metadata(&source).map_err(at(&source))?.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).map_err(at(&source))?;
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Upload { path, source }
}
