//! Model data: turns a `ModelDataUrl` into a folder, an archive or an object that the host may read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::Error;
use crate::reason::Reason;
use crate::s3::{Buckets, Object};

/// Model data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Artifact {
    /// A folder, served where it is.
    Folder(PathBuf),
    /// A `.tar.gz`, unpacked for each endpoint.
    Archive(PathBuf),
    /// The same in S3.
    Object(Object),
}

/// Where a model is to be taken from each time that one of its containers starts.
#[derive(Clone, Debug)]
pub(crate) struct ModelSource {
    /// Where models may be read from.
    roots: Arc<ModelRoots>,
    /// Its `ModelDataUrl`.
    url: String,
}

impl ModelSource {
    /// The model at `url`.
    pub(crate) fn new(roots: &Arc<ModelRoots>, url: &str) -> Self {
        Self { roots: Arc::clone(roots), url: url.to_owned() }
    }

    /// What is there now.
    pub(crate) fn find(&self) -> Result<Artifact, Reason> {
        self.roots.resolve(&self.url).map_err(Reason::new)
    }

    /// The way to what is in S3.
    pub(crate) fn buckets(&self) -> &Buckets {
        &self.roots.buckets
    }
}

/// The places that models may be read from: folders, with all links resolved, and buckets.
#[derive(Debug)]
pub(crate) struct ModelRoots {
    /// The data folder and those given by `--model-root`.
    roots: Vec<PathBuf>,
    /// The host's own folder, which holds what endpoints work on and lies in the data folder.
    own: PathBuf,
    /// The way to S3, which itself says what may be read there.
    pub(crate) buckets: Buckets,
}

impl ModelRoots {
    /// The data folder but for the host's own, and the folders given by `--model-root`, which must
    /// all exist.
    pub(crate) fn open(data: &Path, own: &Path, roots: &[PathBuf]) -> Result<Self, Error> {
        let all = std::iter::once(data).chain(roots.iter().map(PathBuf::as_path));
        let roots = all.map(open_root).collect::<Result<_, _>>()?;
        Ok(Self { roots, own: open_root(own)?, buckets: Buckets::default() })
    }

    /// The model data at `url`, which must lie under one of the roots.
    pub(crate) fn resolve(&self, url: &str) -> Result<Artifact, String> {
        let refuse = |why: &str| Err(format!("ModelDataUrl `{url}` {why}"));
        if url.starts_with("s3://") {
            let object = Object::parse(url).filter(|object| object.key.ends_with(".tar.gz"));
            return object.map_or_else(
                || refuse("names no archive in S3: use s3://BUCKET/PATH/model.tar.gz"),
                |object| Ok(Artifact::Object(object)),
            );
        }
        let Some(given) = file_path(url) else {
            return refuse(
                "is not supported: use s3://BUCKET/FILE.tar.gz, file:///FOLDER or \
                 file:///FILE.tar.gz",
            );
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

    /// The folder at `url`, there or not, which the host may write to: it must lie under one of
    /// the roots, and apart from the host's own.
    pub(crate) fn folder(&self, url: &str) -> Result<PathBuf, String> {
        let refuse = |why: &str| Err(format!("`{url}` {why}"));
        let Some(path) = file_path(url).and_then(|given| resolve_existing(&given)) else {
            return refuse("is no folder: use file:///FOLDER or s3://BUCKET/PREFIX");
        };
        if !self.roots.iter().any(|root| path.starts_with(root)) {
            return refuse("is outside the model roots: start the host with --model-root");
        }
        if path.starts_with(&self.own) || self.own.starts_with(&path) {
            return refuse("holds the host's own files: name a folder of its own");
        }
        Ok(path)
    }

    /// The host's own folder.
    pub(crate) fn own(&self) -> &Path {
        &self.own
    }
}

/// The path without links, though its last folders may not exist.
fn resolve_existing(path: &Path) -> Option<PathBuf> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let missing = path.strip_prefix(existing).ok()?;
    let is_plain = missing.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| existing.canonicalize().ok()).flatten().map(|found| found.join(missing))
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
        let prefix = "s3://bucket/model/";
        for bad in [prefix, "file://host/x", "x", "file:///no/such", &zip] {
            assert!(roots.resolve(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_to_write_to_need_not_exist_but_must_lie_under_a_root() {
        let data = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), data.path().join("link")).unwrap();
        let root = data.path().canonicalize().unwrap();
        let roots = open(&root, &[]);
        let found = roots.folder(&url(&root.join("capture/new"))).unwrap();
        assert_eq!(found, root.join("capture/new"));
        for bad in ["link/new", "../new", "new/../../x", "endpoint-host/endpoints"] {
            assert!(roots.folder(&url(&root.join(bad))).is_err(), "{bad}");
        }
        assert!(roots.folder(&url(outside.path())).is_err());
    }
}
