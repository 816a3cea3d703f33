//! From what the user has to a package: a folder, an archive of one, or a bare artifact.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model_container::Package;
use tempfile::TempDir;

use crate::scratch::Scratch;
use crate::{Error, archive};

/// A package ready to be deployed, and the folder made for it, where there was none.
#[derive(Debug)]
pub struct Source {
    /// The package.
    pub package: Package,
    /// Removed once the package is deployed.
    _staging: Option<(TempDir, Scratch)>,
}

impl Source {
    /// Reads the package at `path`: a folder, a `.tar.gz` or `.tgz`, or a bare `.model` or `.onnx`
    /// file.
    ///
    /// What has no `model.toml` gets one with this name, so that equal files make equal packages.
    ///
    /// # Errors
    /// When there is nothing of these kinds, or it is hostile or too large.
    pub fn open(path: &Path, name: &str) -> Result<Self, Error> {
        Self::open_in(Scratch::system(), path, name)
    }

    /// The same, with room elsewhere for what an archive unpacks to.
    pub(crate) fn open_in(scratch: Scratch, path: &Path, name: &str) -> Result<Self, Error> {
        if path.is_dir() && path.join(MANIFEST).is_file() {
            let package = Package::open(path)?;
            check_size(path, package.size_bytes)?;
            return Ok(Self { package, _staging: None });
        }
        let staging = scratch.dir()?;
        let folder = staging.path().join("package");
        stage(path, &folder, name)?;
        name_package(&folder, name).map_err(|error| in_terms_of(path, error))?;
        let package = Package::open(&folder).map_err(|error| in_terms_of(path, error.into()))?;
        Ok(Self { package, _staging: Some((staging, scratch)) })
    }
}

/// What describes a package.
const MANIFEST: &str = "model.toml";

/// Puts what is at `path` into the new folder.
fn stage(path: &Path, folder: &Path, name: &str) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(at(path))?;
    if metadata.is_dir() {
        // Looked through first: a folder that is no package may be any size.
        let package = Package::open(path)?;
        check_size(path, package.size_bytes)?;
        return copy(path, folder);
    }
    fs::create_dir(folder).map_err(at(folder))?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    if !metadata.is_file() {
        return Err(unfit(path, "it is neither a file nor a folder"));
    }
    check_size(path, metadata.len())?;
    match Form::of(&file_name) {
        Some((_, Form::Archive)) => unpack(path, folder),
        Some((_, Form::Artifact(kind))) => {
            // A name of ours: what users call the file must not change the digest.
            let target = folder.join(format!("{name}.{kind}"));
            fs::copy(path, &target)
                .map_err(|error| at(whose(&error, path, &target))(error))
                .map(|_| ())
        }
        None => Err(unfit(path, &advice(&file_name))),
    }
}

/// What a file is by its name, whose ending may be in capitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A packed package.
    Archive,
    /// An artifact of this kind.
    Artifact(&'static str),
}

impl Form {
    /// The form of a file of this name, and the name without the ending.
    pub(crate) fn of(file_name: &str) -> Option<(&str, Self)> {
        let endings = [
            (".tar.gz", Self::Archive),
            (".tgz", Self::Archive),
            (".model", Self::Artifact("model")),
            (".onnx", Self::Artifact("onnx")),
        ];
        endings.into_iter().find_map(|(ending, form)| {
            let at = file_name.len().checked_sub(ending.len())?;
            let (name, end) = file_name.split_at_checked(at)?;
            (end.eq_ignore_ascii_case(ending) && !name.is_empty()).then_some((name, form))
        })
    }
}

/// Archives that nobody here unpacks.
const OTHER_ARCHIVES: [&str; 11] =
    ["zip", "tar", "gz", "bz2", "xz", "zst", "7z", "rar", "tbz2", "txz", "jar"];

/// Whether a file of this name was meant to be a package, though it can't be one.
pub(crate) fn is_other_archive(file_name: &str) -> bool {
    let ending = file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| OTHER_ARCHIVES.contains(&&*ending))
}

/// What to do with a file that has none of the forms.
pub(crate) fn advice(file_name: &str) -> String {
    if is_other_archive(file_name) {
        return "only .tar.gz archives are unpacked: unpack it, then pack the folder with \
                `tar -czf NAME.tar.gz -C FOLDER .`"
            .to_owned();
    }
    "it is no model by its name: give a package's folder or .tar.gz, or a bare .model or .onnx \
     file; other formats become a package with a worker"
        .to_owned()
}

/// Unpacks an archive; a folder that holds all of it is the package.
fn unpack(path: &Path, folder: &Path) -> Result<(), Error> {
    archive::unpack(path, folder).map_err(|error| match whose(&error, path, folder) {
        whose if whose == folder => at(folder)(error),
        _ => unfit(path, &format!("it can't be unpacked: {error}")),
    })?;
    let mut entries = fs::read_dir(folder).map_err(at(folder))?;
    if let (Some(Ok(only)), None) = (entries.next(), entries.next())
        && only.path().is_dir()
    {
        let beside = folder.with_extension("top");
        fs::rename(only.path(), &beside).map_err(at(&beside))?;
        fs::remove_dir(folder).map_err(at(folder))?;
        fs::rename(&beside, folder).map_err(at(folder))?;
    }
    Ok(())
}

fn check_size(path: &Path, size_bytes: u64) -> Result<(), Error> {
    if size_bytes <= archive::MAX_BYTES {
        return Ok(());
    }
    Err(unfit(path, &format!("it is larger than {} GiB", archive::MAX_BYTES >> 30)))
}

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
            fs::copy(&source, &target)
                .map_err(|error| at(whose(&error, &source, &target))(error))?;
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

/// Which of the two an error of copying is about: a full disk says nothing about what is read.
pub(crate) fn whose<'a>(error: &io::Error, from: &'a Path, to: &'a Path) -> &'a Path {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem => to,
        _ => from,
    }
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
        for file in ["a.model", "other name.MODEL"] {
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
        let archive = folder.path().join("model.TGZ");
        archive::pack(&package, &mut fs::File::create(&archive).unwrap()).unwrap();
        let of_archive = Source::open(&archive, "spam-2").unwrap().package;
        assert_eq!(of_folder.manifest.name, "spam-2");
        assert_eq!(of_archive.digest, of_folder.digest);
        assert!(!package.join(MANIFEST).exists());
    }

    #[test]
    fn an_archive_with_one_folder_is_the_package_in_that_folder() {
        let folder = tempfile::tempdir().unwrap();
        let above = folder.path().join("above");
        copy(&example("contact"), &above.join("contact")).unwrap();
        let archive = folder.path().join("contact.tar.gz");
        archive::pack(&above, &mut fs::File::create(&archive).unwrap()).unwrap();
        let package = Source::open(&archive, "contact").unwrap().package;
        assert_eq!(package.digest, Package::open(&example("contact")).unwrap().digest);
    }

    #[test]
    fn another_archive_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for (name, advice) in [("a.zip", "tar -czf"), ("a.TAR", "tar -czf"), ("a.pkl", "worker")] {
            let path = folder.path().join(name);
            fs::write(&path, "PK").unwrap();
            let error = Source::open(&path, "x").unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(advice), "{error}");
        }
    }

    #[test]
    fn nothing_is_unpacked_or_copied_that_is_too_large() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.model", "a.tar.gz"] {
            let path = folder.path().join(name);
            fs::File::create(&path).unwrap().set_len(archive::MAX_BYTES + 1).unwrap();
            let error = Source::open(&path, "x").unwrap_err().to_string();
            assert!(error.contains("larger than 2 GiB"), "{error}");
        }
    }

    #[test]
    fn a_full_disk_is_not_blamed_on_what_is_copied() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let (from, to) = (Path::new("from"), Path::new("to"));
        assert_eq!((whose(&full, from, to), whose(&denied, from, to)), (to, from));
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
