//! Room for what is under way: beside the uploads, where there is as much as for them.
//!
//! What a deployment that was killed left there is removed by the next that finds nobody at work.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Error;
use crate::source::at;

/// How the names of what is under way begin.
const PREFIX: &str = ".partial-";

/// A folder for temporary ones.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    /// Shared by all who are at work there; the system lets go of it when one is killed.
    _lock: Option<File>,
}

impl Scratch {
    /// The folder that packages are uploaded to, or the system's where that is a bucket.
    pub(crate) fn of_upload(upload: &str) -> Result<Self, Error> {
        if upload.starts_with("s3://") {
            return Ok(Self::system());
        }
        let folder = Path::new(upload);
        fs::create_dir_all(folder).map_err(at(folder))?;
        Self::within(&folder.canonicalize().map_err(at(folder))?)
    }

    /// The system's folder for temporary files.
    pub(crate) fn system() -> Self {
        Self { folder: std::env::temp_dir(), _lock: None }
    }

    /// A folder that others may be at work in, rid of what those left who no longer are.
    pub(crate) fn within(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(".partial.lock");
        let lock = lock_file(&path)?;
        match lock.try_lock() {
            Ok(()) => sweep(folder).map_err(at(folder))?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        lock.lock_shared().map_err(at(&path))?;
        Ok(Self { folder: folder.to_owned(), _lock: Some(lock) })
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new folder in it, which is removed once it is dropped.
    pub(crate) fn dir(&self) -> Result<TempDir, Error> {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&self.folder);
        dir.map_err(at(&self.folder))
    }
}

/// A file to be locked, which may be another user's: all that a lock takes is to read it.
pub(crate) fn lock_file(path: &Path) -> Result<File, Error> {
    let file = match File::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(path),
        made => made,
    };
    file.map_err(at(path))
}

/// Removes what is under way no longer; another user's, which can't be removed, is in nobody's way.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && entry.file_type()?.is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_lock_that_is_there_is_only_read_as_it_may_be_another_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".partial.lock");
        drop(lock_file(&path).unwrap());
        let (first, mut second) = (lock_file(&path).unwrap(), lock_file(&path).unwrap());
        assert!(second.write_all(b"x").is_err());
        first.lock().unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
    }

    #[test]
    fn what_a_killed_deployment_left_is_removed_once_nobody_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".partial-left");
        let package = folder.path().join("spam-0123456789ab");
        for path in [&left, &package] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("model.toml"), "").unwrap();
        }
        let first = Scratch::within(folder.path()).unwrap();
        assert!(!left.exists() && package.join("model.toml").exists());
        let under_way = first.dir().unwrap();
        let second = Scratch::within(folder.path()).unwrap();
        assert!(under_way.path().exists());
        let under_way = under_way.keep();
        drop((first, second));
        drop(Scratch::within(folder.path()).unwrap());
        assert!(!under_way.exists());
    }
}
