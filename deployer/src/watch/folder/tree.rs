//! A package's folder among the uploads: its state, its faults, and its copy.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::sighting::Trouble;
use super::{State, changed_ms, copy_file, hex, put, read_trouble, stamp, unwritten};
use crate::archive::MAX_BYTES;
use crate::source::Form;

/// As many files as a package may have, and as deep.
const MAX_FILES: usize = 1_000;
const MAX_DEPTH: usize = 16;

/// Whether a folder is meant to be a package: it says so, or holds what may be an artifact.
pub(super) fn may_be_package(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let is_of_one =
        |name: &str| name == "model.toml" || matches!(Form::of(name), Some((_, Form::Artifact(_))));
    names.take(MAX_FILES).any(|name| name.to_str().is_some_and(is_of_one))
}

/// Everything in a folder by its relative path, in their order, and the folder itself first of all.
///
/// What is deleted meanwhile is gone, and what can't be read may be later.
fn list(folder: &Path) -> Result<Vec<(PathBuf, Metadata)>, Trouble> {
    let own = fs::symlink_metadata(folder).map_err(read_trouble(folder))?;
    let mut found = vec![(PathBuf::new(), own)];
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        let unread = read_trouble(&path);
        for entry in fs::read_dir(&path).map_err(&unread)? {
            let entry = entry.map_err(&unread)?;
            let path = below.join(entry.file_name());
            let metadata = entry.metadata().map_err(&unread)?;
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, metadata));
            if found.len() > MAX_FILES || below.components().count() > MAX_DEPTH {
                let limit = format!("{MAX_FILES} files, {MAX_DEPTH} folders deep");
                return Err(Trouble::Fault(format!("it is larger than a package may be: {limit}")));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Why the folder can't be a package, however it goes on growing.
pub(super) fn fault(folder: &Path) -> Option<String> {
    let entries = match list(folder) {
        Ok(entries) => entries,
        Err(Trouble::Fault(reason)) => return Some(reason),
        // Copying it will tell.
        Err(Trouble::Gone | Trouble::Later(_)) => return None,
    };
    let odd = entries.iter().find(|(_, kind)| !kind.is_dir() && !kind.is_file());
    odd.map(|(path, _)| format!("`{}` in it is neither a file nor a folder", path.display()))
}

/// The state of the folder and all that is in it, with the time of the last change.
///
/// The folder itself counts: one that was moved here has nothing in it that is new.
pub(super) fn state(folder: &Path, own: &Metadata) -> State {
    let (mut stamps, mut puts) = (Sha256::new(), Sha256::new());
    let mut modified_ms = changed_ms(own);
    stamps.update(stamp(own));
    for (path, metadata) in list(folder).unwrap_or_default() {
        for hasher in [&mut stamps, &mut puts] {
            hasher.update(path.as_os_str().as_encoded_bytes());
        }
        stamps.update(stamp(&metadata));
        puts.update(put(&metadata));
        modified_ms = modified_ms.max(changed_ms(&metadata));
    }
    State { stamp: hex(stamps), put: hex(puts), modified_ms }
}

/// Copies the folder, and tells the hash over its files' paths and contents.
pub(super) fn copy(from: &Path, to: &Path) -> Result<String, Trouble> {
    let mut hasher = Sha256::new();
    let mut room = MAX_BYTES;
    for (path, metadata) in list(from)? {
        let (source, target) = (from.join(&path), to.join(&path));
        if metadata.is_dir() {
            create(&target)?;
            continue;
        }
        let name = path.as_os_str().as_encoded_bytes();
        hasher.update(name.len().to_le_bytes());
        hasher.update(name);
        let size = copy_file(&source, &target, &mut hasher, room)?;
        hasher.update(size.to_le_bytes());
        room -= size;
        // A worker's program must stay one.
        fs::set_permissions(&target, metadata.permissions()).map_err(unwritten(&target))?;
    }
    Ok(hex(hasher))
}

fn create(folder: &Path) -> Result<(), Trouble> {
    fs::create_dir(folder).map_err(unwritten(folder))
}
