//! A folder into which people and programs drop uploads, while it is looked at.

mod tree;

use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::sighting::{
    Kind, QUARANTINE, Sighting, Trouble, is_passed_over, misnamed, model_of_file, too_large,
};
use crate::archive::MAX_BYTES;

/// How many files and folders it may hold.
const MAX_ENTRIES: usize = 100_000;

/// A watched folder.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    /// What is in it that may be a model, complete or not.
    ///
    /// # Errors
    /// When it can't be read, or holds too much.
    pub(super) fn look(&self) -> Result<Vec<Sighting>, String> {
        let path = self.path.display();
        let unreadable = |error: io::Error| format!("`{path}` can't be read: {error}");
        let mut sightings = Vec::new();
        for (count, entry) in fs::read_dir(&self.path).map_err(unreadable)?.enumerate() {
            if count == MAX_ENTRIES {
                return Err(format!("`{path}` holds over {MAX_ENTRIES} files: clear it up"));
            }
            // What was deleted between listing and looking was not there.
            sightings.extend(entry.map_err(unreadable).map(|entry| sighting(&entry))?);
        }
        Ok(sightings)
    }

    /// Copies an upload, and tells the hash of its content.
    pub(super) fn fetch(&self, sighting: &Sighting, to: &Path) -> Result<String, Trouble> {
        let from = self.path.join(&sighting.key);
        let hash = if fs::symlink_metadata(&from).map_err(read_trouble(&from))?.is_dir() {
            tree::copy(&from, to)?
        } else {
            let mut hasher = Sha256::new();
            copy_file(&from, to, &mut hasher, MAX_BYTES)?;
            hex(hasher)
        };
        self.still(sighting).map(|()| hash)
    }

    /// Moves an upload to the quarantine with the reason beside it, and tells where it is.
    pub(super) fn quarantine(&self, sighting: &Sighting, reason: &str) -> Result<String, Trouble> {
        let folder = self.path.join(QUARANTINE);
        fs::create_dir_all(&folder).map_err(unwritten(&folder))?;
        let names = (1..).map(|number| match number {
            1 => sighting.key.clone(),
            number => format!("{number}-{}", sighting.key),
        });
        let is_free = |name: &String| fs::symlink_metadata(folder.join(name)).is_err();
        let name = names.into_iter().find(is_free).unwrap_or_else(|| sighting.key.clone());
        self.still(sighting)?;
        fs::write(folder.join(format!("{name}.reason.txt")), format!("{reason}\n"))
            .and_then(|()| fs::rename(self.path.join(&sighting.key), folder.join(&name)))
            .map_err(unwritten(&folder))?;
        Ok(format!("{QUARANTINE}/{name}"))
    }

    /// Finds whether an upload is what it was when it was seen.
    fn still(&self, seen: &Sighting) -> Result<(), Trouble> {
        let path = self.path.join(&seen.key);
        let metadata = fs::symlink_metadata(&path).map_err(read_trouble(&path))?;
        if state(&path, &metadata).stamp == seen.stamp { Ok(()) } else { Err(Trouble::Gone) }
    }
}

/// What an entry is; None where it is none of the watcher's business.
fn sighting(entry: &DirEntry) -> Option<Sighting> {
    let key = entry.file_name().into_string().ok().filter(|key| !is_passed_over(key))?;
    // Unlike `Path::metadata`, that of an entry does not follow links.
    let metadata = entry.metadata().ok()?;
    let name = match model_of_file(&key) {
        Some(name) => name.to_owned(),
        None if metadata.is_file() => key.clone(),
        None if metadata.is_dir() && tree::may_be_package(&entry.path()) => key.clone(),
        // Other folders, and links, may be there for any reason.
        None => return None,
    };
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => unfit("it is a symbolic link; drop the file itself"),
        kind if kind.is_dir() => match tree::fault(&entry.path()) {
            Some(fault) => Kind::Unfit(fault),
            None => Kind::Growing,
        },
        kind if !kind.is_file() => unfit("it is neither a file nor a folder"),
        _ if model_of_file(&key).is_none() => misnamed(&key),
        _ if metadata.len() > MAX_BYTES => Kind::Unfit(too_large()),
        _ => Kind::Growing,
    };
    let State { stamp, put, modified_ms } = match kind {
        // It stays the same, however it changes: it is told of once.
        Kind::Foreign(_) => State::default(),
        _ => state(&entry.path(), &metadata),
    };
    Some(Sighting { key, name, stamp, put, modified_ms, kind })
}

fn unfit(reason: &str) -> Kind {
    Kind::Unfit(reason.to_owned())
}

/// What a sighting tells of the state of a file or folder.
#[derive(Debug, Default)]
struct State {
    stamp: String,
    put: String,
    modified_ms: i64,
}

fn state(path: &Path, metadata: &Metadata) -> State {
    if metadata.is_dir() {
        tree::state(path, metadata)
    } else {
        State { stamp: stamp(metadata), put: put(metadata), modified_ms: changed_ms(metadata) }
    }
}

/// A file's size, times and identity.
fn stamp(file: &Metadata) -> String {
    let changed = (file.ctime(), file.ctime_nsec());
    format!("{} {} {changed:?}", file.len(), put(file))
}

/// When a file was written, and which one it is.
fn put(file: &Metadata) -> String {
    format!("{:?} {}", (file.mtime(), file.mtime_nsec()), file.ino())
}

/// When the file came to be here as it is, which only the system can say: one that was moved here
/// may have been written long ago, or dated by hand.
fn changed_ms(file: &Metadata) -> i64 {
    file.ctime() * 1000 + file.ctime_nsec() / 1_000_000
}

/// Copies a file of at most `limit` bytes, and tells its size.
fn copy_file(from: &Path, to: &Path, hasher: &mut Sha256, limit: u64) -> Result<u64, Trouble> {
    let seen = fs::symlink_metadata(from).map_err(read_trouble(from))?;
    if !seen.is_file() {
        return Err(Trouble::Gone);
    }
    let mut source = File::open(from).map_err(read_trouble(from))?;
    // A link may have taken the file's place in between.
    if source.metadata().map_err(read_trouble(from))?.ino() != seen.ino() {
        return Err(Trouble::Gone);
    }
    let mut target = File::create(to).map_err(unwritten(to))?;
    let mut size = 0;
    each_part(&mut source, read_trouble(from), |part| {
        size += part.len() as u64;
        if size > limit {
            return Err(Trouble::Fault(too_large()));
        }
        hasher.update(part);
        target.write_all(part).map_err(unwritten(to))
    })?;
    Ok(size)
}

/// Reads to the end, and has each part taken.
pub(super) fn each_part<E>(
    source: &mut impl Read,
    unread: impl FnOnce(io::Error) -> E,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => take(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unread(error)),
        }
    }
}

/// What is deleted is no trouble; what can't be read may have got the wrong owner on its way here.
fn read_trouble(path: &Path) -> impl Fn(io::Error) -> Trouble {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Gone,
        _ => Trouble::Later(format!("`{}` can't be read: {error}", path.display())),
    }
}

/// A full disk is not the upload's fault.
fn unwritten(path: &Path) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble::Later(format!("can't write `{}`: {error}", path.display()))
}

pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
