//! Finds the files of records that a path stands for.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// How the name of a file ends that is still being written.
pub(crate) const PARTIAL: &str = "partial";
/// What the names of records in a folder end with, the same with `.gz` behind it apart.
const EXTENSIONS: [&str; 4] = ["jsonl", "ndjson", "json", "parquet"];
/// How deep folders are looked into; links might lead in circles.
const MAX_DEPTH: usize = 32;

/// The path itself, or the files of records anywhere below it, in the order of their names.
///
/// Passed over are hidden files, those of other names, audits of an import, and what a running
/// capture is still writing. Of a capture that broke off, what it left is read too.
///
/// # Errors
/// When nothing is there, or a folder holds no records.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !fs::metadata(path).map_err(Error::file(path))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    look_into(path, MAX_DEPTH, &mut found)?;
    found.sort();
    if found.is_empty() {
        let reason = "the folder holds no records: no file named *.jsonl, *.ndjson, *.json, the \
                      same with .gz, or *.parquet";
        return Err(Error::Usage(format!("`{}`: {reason}", path.display())));
    }
    Ok(found)
}

fn look_into(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let Some(depth) = depth.checked_sub(1) else {
        let error = io::Error::other("folders are nested too deep here, or in a circle");
        return Err(Error::file(folder)(error));
    };
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let entry = entry.map_err(Error::file(folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        let kind = match fs::metadata(&path) {
            Ok(kind) => kind,
            // What vanished meanwhile is a file of a running capture; a link to nowhere is still there.
            Err(_) if is_gone(&path) => continue,
            Err(error) => return Err(Error::file(&path)(error)),
        };
        if kind.is_dir() {
            look_into(&path, depth, found)?;
        } else if is_record_file(&path) || is_leftover(&path)? {
            found.push(path);
        }
    }
    Ok(())
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn is_record_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|it| EXTENSIONS.contains(&it)) && !name.ends_with(".audit.json")
}

/// Whether it is what a capture that broke off left: nobody holds its lock, and it was not made into
/// a complete file before its removal failed.
fn is_leftover(path: &Path) -> Result<bool, Error> {
    let lines = path.with_extension("");
    let is_lines = lines.extension().is_some_and(|extension| extension == "jsonl");
    if path.extension().is_none_or(|extension| extension != PARTIAL) || !is_lines {
        return Ok(false);
    }
    if lines.exists() || lines.with_extension("parquet").exists() {
        return Ok(false);
    }
    match File::open(path).map_err(Error::file(path))?.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::file(path)(error)),
    }
}
