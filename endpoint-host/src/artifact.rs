//! Model data: turns a `ModelDataUrl` into a folder or an archive that the host may read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::Error;
use crate::api_error::ApiError;
use crate::model_folder;
use crate::reason::Reason;

/// Model data on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Artifact {
    /// A folder, served where it is.
    Folder(PathBuf),
    /// A `.tar.gz`, unpacked for each endpoint.
    Archive(PathBuf),
}

impl Artifact {
    /// Refuses a folder with links in it; archives are looked through when they are unpacked.
    pub(crate) fn check(&self) -> Result<(), Reason> {
        match self {
            Self::Folder(folder) => model_folder::check(folder),
            Self::Archive(_) => Ok(()),
        }
    }
}

/// The folders that models may be read from, with all links resolved.
#[derive(Debug)]
pub(crate) struct ModelRoots {
    /// The data folder and those given by `--model-root`.
    roots: Vec<PathBuf>,
    /// The host's own folder, which holds what endpoints work on and lies in the data folder.
    own: PathBuf,
}

impl ModelRoots {
    /// The data folder but for the host's own, and the folders given by `--model-root`, which must
    /// all exist.
    pub(crate) fn open(data: &Path, own: &Path, roots: &[PathBuf]) -> Result<Self, Error> {
        let all = std::iter::once(data).chain(roots.iter().map(PathBuf::as_path));
        let roots = all.map(open_root).collect::<Result<_, _>>()?;
        Ok(Self { roots, own: open_root(own)? })
    }

    /// The model data at `url`, which must lie under one of the roots.
    pub(crate) fn resolve(&self, url: &str) -> Result<Artifact, ApiError> {
        let refuse = |why: &str| Err(ApiError::validation(format!("ModelDataUrl `{url}` {why}")));
        let Some(given) = file_path(url) else {
            return refuse("is not supported yet: use file:///FOLDER or file:///FILE.tar.gz");
        };
        let Ok(path) = given.canonicalize() else {
            return refuse("cannot be read: name an existing folder or .tar.gz file");
        };
        if !self.roots.iter().any(|root| path.starts_with(root)) {
            return refuse("is outside the model roots: start the host with --model-root");
        }
        if path.starts_with(&self.own) || self.own.starts_with(&path) {
            return refuse("holds the host's own files: put the model into a folder of its own");
        }
        if path.is_dir() {
            return Ok(Artifact::Folder(path));
        }
        if path.is_file() && given.as_os_str().as_bytes().ends_with(b".tar.gz") {
            return Ok(Artifact::Archive(path));
        }
        refuse("is neither a folder nor a .tar.gz file")
    }
}

fn open_root(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::ModelRoot { path: path.to_owned(), source })
}

/// The absolute path in a `file://` URL without a host.
fn file_path(url: &str) -> Option<PathBuf> {
    let encoded = url.strip_prefix("file://").filter(|path| path.starts_with('/'))?;
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    (!bytes.contains(&0)).then(|| PathBuf::from(OsStr::from_bytes(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// The roots of a host with this data folder.
    fn open(data: &Path, more: &[PathBuf]) -> ModelRoots {
        let own = data.join("endpoint-host");
        fs::create_dir_all(own.join("endpoints")).unwrap();
        ModelRoots::open(data, &own, more).unwrap()
    }

    fn url(path: &Path) -> String {
        format!("file://{}", path.display())
    }

    #[test]
    fn folders_and_archives_under_a_root_are_found() {
        let data = tempfile::tempdir().unwrap();
        let root = data.path().canonicalize().unwrap();
        fs::create_dir(root.join("a model")).unwrap();
        fs::write(root.join("m.tar.gz"), "").unwrap();
        let roots = open(&root, &[]);
        let spaced = format!("file://{}/a%20model", root.display());
        assert_eq!(roots.resolve(&spaced).unwrap(), Artifact::Folder(root.join("a model")));
        let archive = roots.resolve(&url(&root.join("m.tar.gz"))).unwrap();
        assert_eq!(archive, Artifact::Archive(root.join("m.tar.gz")));
    }

    #[test]
    fn neither_dots_nor_links_lead_out_of_the_roots() {
        let data = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), data.path().join("link")).unwrap();
        let roots = open(data.path(), &[]);
        let dots = data.path().join("..").join(outside.path().file_name().unwrap());
        for path in [outside.path().to_owned(), data.path().join("link"), dots] {
            let refusal = format!("{:?}", roots.resolve(&url(&path)).unwrap_err());
            assert!(refusal.contains("outside the model roots"), "{refusal}");
        }
        let more = open(data.path(), &[outside.path().to_owned()]);
        assert!(more.resolve(&url(outside.path())).is_ok());
    }

    #[test]
    fn the_hosts_own_folder_is_no_model_and_in_none() {
        let data = tempfile::tempdir().unwrap();
        let roots = open(data.path(), &[]);
        for path in ["", "endpoint-host", "endpoint-host/endpoints"] {
            let refusal = roots.resolve(&url(&data.path().join(path))).unwrap_err();
            let refusal = format!("{refusal:?}");
            assert!(refusal.contains("the host's own files"), "{path}: {refusal}");
        }
    }

    #[test]
    fn other_schemes_other_hosts_and_other_files_are_refused() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("m.zip"), "").unwrap();
        let roots = open(data.path(), &[]);
        let zip = url(&data.path().join("m.zip"));
        for bad in ["s3://bucket/model.tar.gz", "file://host/x", "x", "file:///no/such", &zip] {
            assert!(roots.resolve(bad).is_err(), "{bad}");
        }
    }
}
