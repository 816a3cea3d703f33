//! Copies a package to where the endpoint host reads it, under a name with its digest.

use std::fs;
use std::path::{Path, PathBuf};

use model_container::Package;

use crate::Error;

/// Copies the package into `folder/NAME-DIGEST`, unless a copy with that digest is there.
pub(crate) fn upload(package: &Package, folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let target = folder.join(name);
    let is_there = Package::open(&target).is_ok_and(|copy| copy.digest == package.digest);
    if !is_there {
        if target.exists() {
            fs::remove_dir_all(&target).map_err(at(&target))?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_was_tampered_with_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
        let package = Package::open(&examples.join("contact")).unwrap();
        let copy = upload(&package, folder.path(), "contact-1").unwrap();
        assert_eq!(Package::open(&copy).unwrap().digest, package.digest);
        fs::write(copy.join("contact.toml"), "label = 'x'").unwrap();
        assert_eq!(upload(&package, folder.path(), "contact-1").unwrap(), copy);
        assert_eq!(Package::open(&copy).unwrap().digest, package.digest);
    }
}
