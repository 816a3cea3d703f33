//! What a watcher must not forget when it is restarted: which content it deployed under which name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::attempt::Past;
use super::sighting::Sighting;
use crate::Error;

/// The watcher's memory in `watch.json` of a folder that is its alone.
#[derive(Debug)]
pub(super) struct Memory {
    folder: PathBuf,
    contents: Contents,
    /// Held until the watcher ends.
    _lock: File,
}

/// The contents of `watch.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    /// The folder or prefix that is watched.
    source: String,
    /// By a model's name, what was deployed last.
    models: BTreeMap<String, Record>,
    /// By an upload's key, what was dealt with last.
    seen: BTreeMap<String, Seen>,
}

/// An upload that was dealt with.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    /// What it looked like.
    stamp: String,
    /// When it was put there, and as what.
    put: String,
    /// The SHA-256 of its content; empty where it was not read.
    content: String,
    /// Whether another deployment took the endpoint from it.
    is_overtaken: bool,
}

/// A deployed upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The upload's key.
    pub(super) key: String,
    /// The SHA-256 of the upload's content.
    pub(super) content: String,
    /// The package's version.
    pub(super) version: String,
    /// The package's digest.
    pub(super) digest: String,
    /// When the upload was written, in milliseconds since 1970.
    pub(super) modified_ms: i64,
}

impl Memory {
    /// Opens the memory for `source` in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder can't be used, is in use, or remembers another source.
    pub(super) fn open(folder: &Path, source: &str) -> Result<Self, Error> {
        let fault = |reason: String| Error::State { path: folder.to_owned(), reason };
        let unusable = |error: io::Error| fault(format!("it can't be used: {error}"));
        fs::create_dir_all(folder).map_err(unusable)?;
        let lock = lock(folder)
            .map_err(unusable)?
            .ok_or_else(|| fault("another watcher is using it; end that one first".to_owned()))?;
        let contents = match fs::read(folder.join("watch.json")) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| fault(format!("its watch.json can't be read: {error}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Contents { source: source.to_owned(), ..Contents::default() }
            }
            Err(error) => return Err(unusable(error)),
        };
        if contents.source != source {
            let reason = format!("it belongs to {}; name another with --state", contents.source);
            return Err(fault(reason));
        }
        let memory = Self { folder: folder.to_owned(), contents, _lock: lock };
        memory.empty_staging().map_err(unusable)?;
        Ok(memory)
    }

    /// Where uploads are copied to before they are read.
    pub(super) fn staging(&self) -> PathBuf {
        self.folder.join("staging")
    }

    /// Whether an upload was dealt with before.
    pub(super) fn knows(&self, sighting: &Sighting) -> bool {
        let seen = self.contents.seen.get(&sighting.key);
        // The stamp of an object is that of its content, whenever it was put there.
        seen.is_some_and(|seen| seen.stamp == sighting.stamp && seen.put == sighting.put)
    }

    /// What bears on an upload: a new mode or owner alone, for one, makes no new upload.
    pub(super) fn past(&self, sighting: &Sighting) -> Past {
        let seen = self.contents.seen.get(&sighting.key);
        Past {
            deployed: self.contents.models.get(&sighting.name).cloned(),
            content: seen.map(|seen| seen.content.clone()),
            is_put_anew: seen.is_none_or(|seen| seen.put != sighting.put),
            is_overtaken: seen.is_some_and(|seen| seen.is_overtaken),
        }
    }

    /// Remembers a deployment.
    pub(super) fn deployed(&mut self, sighting: &Sighting, record: Record) -> io::Result<()> {
        let content = record.content.clone();
        self.contents.models.insert(sighting.name.clone(), record);
        self.dealt_with(sighting, content)
    }

    /// Remembers that nothing more is to be done about an upload with the hash `content`.
    pub(super) fn dealt_with(&mut self, sighting: &Sighting, content: String) -> io::Result<()> {
        if let Some(last) = self.contents.models.get_mut(&sighting.name)
            && last.content == content
        {
            last.modified_ms = last.modified_ms.max(sighting.modified_ms);
        }
        self.saw(sighting, content, false)
    }

    /// Remembers that nothing more is to be done about an upload unless it is put there anew:
    /// another deployment took the endpoint from it.
    pub(super) fn overtaken(&mut self, sighting: &Sighting, content: String) -> io::Result<()> {
        self.saw(sighting, content, true)
    }

    fn saw(&mut self, sighting: &Sighting, content: String, is_overtaken: bool) -> io::Result<()> {
        let (stamp, put) = (sighting.stamp.clone(), sighting.put.clone());
        let seen = Seen { stamp, put, content, is_overtaken };
        self.contents.seen.insert(sighting.key.clone(), seen);
        self.save()
    }

    /// Forgets uploads that are not there any more; written with the next change.
    pub(super) fn keep_only<'a>(&mut self, keys: impl Iterator<Item = &'a String>) {
        let keys: BTreeSet<_> = keys.collect();
        self.contents.seen.retain(|key, _| keys.contains(key));
    }

    /// A reader finds the old contents or the new ones, whenever this is interrupted.
    fn save(&self) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.contents)?;
        let partial = self.folder.join("watch.json.new");
        let mut file = File::create(&partial)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(partial, self.folder.join("watch.json"))
    }

    /// A watcher that was killed may have left copies.
    fn empty_staging(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.staging()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::create_dir(self.staging()),
        }
    }
}

/// The file that keeps a second watcher out; None where there is a first.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = File::create(folder.join("watch.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sighting::Kind;
    use super::*;

    fn record() -> Record {
        let [key, content, version, digest] =
            ["spam.model", "c", "1", "sha256:d"].map(str::to_owned);
        Record { key, content, version, digest, modified_ms: 7 }
    }

    fn sighting() -> Sighting {
        let [key, name, stamp, put] = ["spam.model", "spam", "s", "p"].map(str::to_owned);
        Sighting { key, name, stamp, put, modified_ms: 7, kind: Kind::Growing }
    }

    #[test]
    fn it_outlives_the_watcher() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(folder.path(), "/uploads").unwrap();
        memory.deployed(&sighting(), record()).unwrap();
        fs::write(memory.staging().join("left"), "").unwrap();
        drop(memory);

        let mut memory = Memory::open(folder.path(), "/uploads").unwrap();
        assert!(memory.knows(&sighting()) && memory.past(&sighting()).deployed == Some(record()));
        assert!(!memory.staging().join("left").exists());
        let touched = Sighting { stamp: "t".to_owned(), ..sighting() };
        assert!(!memory.knows(&touched) && memory.past(&touched).content.as_deref() == Some("c"));
        let again = Sighting { put: "q".to_owned(), ..touched.clone() };
        assert!(!memory.knows(&Sighting { put: "q".to_owned(), ..sighting() }));
        assert!(!memory.past(&touched).is_put_anew && memory.past(&again).is_put_anew);
        memory.keep_only(std::iter::empty());
        assert!(!memory.knows(&sighting()) && memory.past(&sighting()).deployed == Some(record()));
    }

    #[test]
    fn it_is_of_one_watcher_and_one_source() {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(folder.path(), "/uploads").unwrap();
        let second = Memory::open(folder.path(), "/uploads").unwrap_err().to_string();
        assert!(second.contains("another watcher"), "{second}");
        memory.dealt_with(&sighting(), String::new()).unwrap();
        drop(memory);
        let other = Memory::open(folder.path(), "s3://bucket/").unwrap_err().to_string();
        assert!(other.contains("/uploads") && other.contains("--state"), "{other}");
    }

    #[test]
    fn one_that_was_spoilt_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("watch.json"), "{").unwrap();
        let error = Memory::open(folder.path(), "/uploads").unwrap_err().to_string();
        assert!(error.contains("watch.json"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("watch.json")).unwrap(), "{");
    }
}
