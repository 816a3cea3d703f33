//! From what the user has to a package: a folder, an archive of one, or a bare artifact.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model_container::Package;
use tempfile::TempDir;

use crate::{Error, archive};

/// A package ready to be deployed, and the folder made for it, where there was none.
#[derive(Debug)]
pub struct Source {
    /// The package.
    pub package: Package,
    /// Removed once the package is deployed.
    _staging: Option<TempDir>,
}

impl Source {
    /// Reads the package at `path`: a folder, a `.tar.gz`, or a bare `.model` or `.onnx` file.
    ///
    /// What has no `model.toml` gets one with this name, so that equal files make equal packages.
    ///
    /// # Errors
    /// When there is nothing of these kinds, or an archive is hostile or too large.
    pub fn open(path: &Path, name: &str) -> Result<Self, Error> {
        if path.is_dir() && path.join(MANIFEST).is_file() {
            return Ok(Self { package: Package::open(path)?, _staging: None });
        }
        let staging = tempfile::tempdir().map_err(at(&std::env::temp_dir()))?;
        let folder = staging.path().join("package");
        stage(path, &folder, name)?;
        name_package(&folder, name).map_err(|error| in_terms_of(path, error))?;
        let package = Package::open(&folder).map_err(|error| in_terms_of(path, error.into()))?;
        Ok(Self { package, _staging: Some(staging) })
    }
}

/// What describes a package.
const MANIFEST: &str = "model.toml";

/// Puts what is at `path` into the new folder.
fn stage(path: &Path, folder: &Path, name: &str) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(at(path))?;
    if metadata.is_dir() {
        // Looked through first: a folder that is no package may be any size.
        Package::open(path)?;
        return copy(path, folder);
    }
    fs::create_dir(folder).map_err(at(folder))?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    if !metadata.is_file() {
        return Err(unfit(path, KINDS));
    }
    if [".tar.gz", ".tgz"].iter().any(|end| file_name.ends_with(end)) {
        return archive::unpack(path, folder).map_err(|error| match error.kind() {
            // A full disk says nothing about the archive.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => at(folder)(error),
            _ => unfit(path, &error.to_string()),
        });
    }
    let kind = path.extension().and_then(|extension| extension.to_str());
    let kind = kind.filter(|kind| ["model", "onnx"].contains(kind));
    let kind = kind.ok_or_else(|| unfit(path, KINDS))?;
    if metadata.len() > archive::MAX_BYTES {
        return Err(unfit(path, &format!("it is larger than {} bytes", archive::MAX_BYTES)));
    }
    // A name of ours: what users call the file must not change the digest.
    fs::copy(path, folder.join(format!("{name}.{kind}"))).map_err(at(path)).map(|_| ())
}

const KINDS: &str = "give a package's folder or .tar.gz, or a bare .model or .onnx file";

/// Writes the `model.toml` of a folder with one bare artifact, which would be named after the
/// folder otherwise.
fn name_package(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(MANIFEST);
    if path.exists() {
        return Ok(());
    }
    let manifest = Package::open(folder)?.manifest;
    let Some(artifact) = manifest.artifact.to_str() else {
        return Err(unfit(&manifest.artifact, "its name is not UTF-8"));
    };
    // JSON's strings are TOML's as well.
    let artifact = serde_json::json!(artifact);
    let text =
        format!("name = \"{name}\"\nruntime = \"{}\"\nartifact = {artifact}\n", manifest.runtime);
    fs::write(&path, text).map_err(at(&path))
}

/// Copies a folder of plain files and folders; anything else in it is an error.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&source))?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(at(&source))?;
        } else {
            return Err(unfit(&source, "it is neither a file nor a folder"));
        }
    }
    Ok(())
}

/// Wraps an I/O error with the path it is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Files { path, source }
}

fn unfit(path: &Path, reason: &str) -> Error {
    Error::Unfit { path: path.to_owned(), reason: reason.to_owned() }
}

/// The user knows the path given, not the folder that was made of it.
pub(crate) fn in_terms_of(path: &Path, error: Error) -> Error {
    match error {
        Error::Package(model_container::Error::Package { reason, .. }) => unfit(path, &reason),
        Error::Package(model_container::Error::Artifact { artifact, reason }) => {
            let inner: PathBuf = artifact.file_name().unwrap_or_default().into();
            unfit(path, &format!("`{}`: {reason}", inner.display()))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models").join(path)
    }

    #[test]
    fn a_bare_file_is_the_same_package_whatever_it_is_called_and_wherever_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let mut digests = Vec::new();
        for file in ["a.model", "other name.model"] {
            let path = folder.path().join(file);
            fs::copy(example("spam/spam.model"), &path).unwrap();
            let package = Source::open(&path, "spam-2").unwrap().package;
            assert_eq!(package.manifest.name, "spam-2");
            digests.push(package.digest);
        }
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn a_folder_and_an_archive_without_a_manifest_get_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("any");
        fs::create_dir(&package).unwrap();
        fs::copy(example("spam/spam.model"), package.join("x.model")).unwrap();
        let of_folder = Source::open(&package, "spam-2").unwrap().package;
        let archive = folder.path().join("model.tar.gz");
        fs::write(&archive, archive::pack(&package).unwrap()).unwrap();
        let of_archive = Source::open(&archive, "spam-2").unwrap().package;
        assert_eq!(of_folder.manifest.name, "spam-2");
        assert_eq!(of_archive.digest, of_folder.digest);
        assert!(!package.join(MANIFEST).exists());
    }

    #[test]
    fn what_is_no_package_is_refused_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("model.zip");
        fs::write(&zip, "PK").unwrap();
        let broken = folder.path().join("model.tar.gz");
        fs::write(&broken, "no gzip").unwrap();
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        for path in [zip, broken, empty, folder.path().join("missing")] {
            let error = Source::open(&path, "x").unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
