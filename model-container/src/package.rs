//! A model package: a folder with one artifact and the `model.toml` that describes it.

mod manifest;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;

pub use manifest::{Canary, CanaryField, Input, Manifest, Runtime};

/// How many files a package may have.
const MAX_FILES: usize = 1_000;
/// How deep its folders may nest.
const MAX_DEPTH: usize = 16;

/// A package on disk, read and checked but not yet loaded.
#[derive(Debug, Clone)]
pub struct Package {
    /// The folder.
    pub dir: PathBuf,
    /// What `model.toml` says, with its defaults filled in.
    pub manifest: Manifest,
    /// The manifest's version, or the first 12 hex digits of the digest.
    pub version: String,
    /// `sha256:` and the hash over the paths and contents of all files.
    pub digest: String,
    /// The size of all files together.
    pub size_bytes: u64,
}

impl Package {
    /// Reads the folder `dir`.
    ///
    /// # Errors
    /// When the folder can't be read or `model.toml` is not of the documented form.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let files = list(dir)?;
        let manifest = Manifest::read(dir, &files)?;
        let (digest, size_bytes) = hash(dir, &files)?;
        let version = manifest.version.clone().unwrap_or_else(|| digest[..12].to_owned());
        Ok(Self {
            dir: dir.to_owned(),
            manifest,
            version,
            digest: format!("sha256:{digest}"),
            size_bytes,
        })
    }

    /// Where the artifact is.
    pub fn artifact(&self) -> PathBuf {
        self.dir.join(&self.manifest.artifact)
    }

    /// An error about this package's form.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Package { package: self.dir.clone(), reason: reason.into() }
    }
}

/// The bytes of a file of at most `limit` bytes.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::read(path))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if bytes.len() as u64 <= limit {
        return Ok(bytes);
    }
    let reason = format!("it is larger than {limit} bytes");
    Err(Error::Artifact { artifact: path.to_owned(), reason })
}

/// The text of a file of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, Error> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|error| Error::Artifact {
        artifact: path.to_owned(),
        reason: format!("it is not UTF-8: {}", error.utf8_error()),
    })
}

/// The relative paths of all regular files below `dir`, sorted.
fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        for entry in fs::read_dir(&path).map_err(Error::read(&path))? {
            let entry = entry.map_err(Error::read(&path))?;
            let relative = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(Error::read(entry.path()))?;
            if kind.is_dir() {
                folders.push(relative);
            } else if kind.is_file() {
                files.push(relative);
            } else {
                let reason = format!("`{}` is neither a file nor a folder", relative.display());
                return Err(fault(dir, reason));
            }
        }
        if files.len() > MAX_FILES || folder.components().count() > MAX_DEPTH {
            let limit = format!("{MAX_FILES} files, {MAX_DEPTH} folders deep");
            return Err(fault(dir, format!("it is larger than a package may be: {limit}")));
        }
    }
    files.sort();
    Ok(files)
}

/// The hex SHA-256 over every file's path, size and contents, and the size of them all.
fn hash(dir: &Path, files: &[PathBuf]) -> Result<(String, u64), Error> {
    let mut hasher = Sha256::new();
    let mut total = 0;
    for file in files {
        let path = dir.join(file);
        let mut reader = File::open(&path).map_err(Error::read(&path))?;
        let size = reader.metadata().map_err(Error::read(&path))?.len();
        hasher.update(file.to_string_lossy().as_bytes());
        hasher.update([0]);
        hasher.update(size.to_le_bytes());
        total += io::copy(&mut reader, &mut HashWriter(&mut hasher)).map_err(Error::read(&path))?;
    }
    let digest = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((digest, total))
}

/// Feeds what is written to it to a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fault(dir: &Path, reason: impl Into<String>) -> Error {
    Error::Package { package: dir.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Package, Error>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            fs::write(dir.path().join(name), contents).unwrap();
        }
        let package = Package::open(dir.path());
        (dir, package)
    }

    const TOML: &str = "name = 'wine'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n";

    #[test]
    fn the_version_defaults_to_the_start_of_the_digest() {
        let (_dir, package) = package(&[("model.toml", TOML), ("terms.toml", "")]);
        let package = package.unwrap();
        assert_eq!(package.digest, format!("sha256:{}", &package.digest[7..]));
        assert_eq!(package.version, package.digest[7..19]);
    }

    #[test]
    fn the_digest_changes_with_contents_and_with_names() {
        let digest = |files: &[(&str, &str)]| package(files).1.unwrap().digest;
        let one = digest(&[("model.toml", TOML), ("terms.toml", "a"), ("x", "b")]);
        assert_ne!(one, digest(&[("model.toml", TOML), ("terms.toml", "b"), ("x", "b")]));
        assert_ne!(one, digest(&[("model.toml", TOML), ("terms.toml", "a"), ("y", "b")]));
        assert_eq!(one, digest(&[("x", "b"), ("terms.toml", "a"), ("model.toml", TOML)]));
    }

    #[test]
    fn a_bare_weka_file_is_a_package_named_after_its_folder() {
        for file in ["anything.model", "ANYTHING.MODEL"] {
            let (dir, package) = package(&[(file, "")]);
            let manifest = package.unwrap().manifest;
            assert_eq!(manifest.name, dir.path().file_name().unwrap().to_str().unwrap());
            assert_eq!(manifest.artifact, Path::new(file));
        }
    }

    #[test]
    fn a_link_is_refused_wherever_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("model.toml"), TOML).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("terms.toml")).unwrap();
        let error = Package::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("`terms.toml` is neither a file nor a folder"), "{error}");
    }

    #[test]
    fn what_the_container_would_not_honour_is_refused_by_name() {
        let refused = |toml: &str| {
            package(&[("model.toml", toml), ("terms.toml", "")]).1.unwrap_err().to_string()
        };
        assert!(refused(&format!("{TOML}speed = 'high'")).contains("unknown field `speed`"));
        assert!(refused(&TOML.replace("lexicon", "magic")).contains("unknown variant `magic`"));
        let twice = format!("{TOML}input.text = ['text', 'text']");
        assert!(refused(&twice).contains("one of its fields twice"));
        assert!(refused(&TOML.replace("terms", "../terms")).contains("inside the package"));
        assert!(refused(&TOML.replace("terms", "missing")).contains("no file `missing.toml`"));
        assert!(refused("name = 'w'\nruntime = 'worker'").contains("a worker has a `command`"));
        assert!(refused(&format!("{TOML}onnx.threads = 1")).contains("runtime `onnx` only"));
        assert!(refused(&format!("raw = true\n{TOML}")).contains("for workers only"));
        assert!(package(&[]).1.unwrap_err().to_string().contains("neither a `model.toml`"));
    }
}
