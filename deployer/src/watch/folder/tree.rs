//! A package's folder among the uploads: its state, its faults, and its copy.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::sighting::{MAX_BYTES, Trouble};
use super::{changed_ms, copy_file, hex, stamp, unwritten};

/// As many files as a package may have, and as deep.
const MAX_FILES: usize = 1_000;
const MAX_DEPTH: usize = 16;

/// Everything in a folder by its relative path, in their order; what is deleted meanwhile is left out.
fn list(folder: &Path) -> Result<Vec<(PathBuf, Metadata)>, String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let entries = fs::read_dir(folder.join(&below)).into_iter().flatten().flatten();
        for entry in entries {
            let path = below.join(entry.file_name());
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, metadata));
            if found.len() > MAX_FILES || below.components().count() > MAX_DEPTH {
                let limit = format!("{MAX_FILES} files, {MAX_DEPTH} folders deep");
                return Err(format!("it is larger than a package may be: {limit}"));
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
        Err(reason) => return Some(reason),
    };
    let odd = entries.iter().find(|(_, kind)| !kind.is_dir() && !kind.is_file());
    odd.map(|(path, _)| format!("`{}` in it is neither a file nor a folder", path.display()))
}

/// The stamp over all that is in the folder, and the time of the last change.
pub(super) fn state(folder: &Path) -> (String, i64) {
    let (mut hasher, mut changed) = (Sha256::new(), 0);
    for (path, metadata) in list(folder).unwrap_or_default() {
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(stamp(&metadata));
        changed = changed.max(changed_ms(&metadata));
    }
    (hex(hasher), changed)
}

/// Copies the folder, and tells the hash over its files' paths and contents.
pub(super) fn copy(from: &Path, to: &Path) -> Result<String, Trouble> {
    let mut hasher = Sha256::new();
    let mut room = MAX_BYTES;
    create(to)?;
    for (path, metadata) in list(from).map_err(Trouble::Fault)? {
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
