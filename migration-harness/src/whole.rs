//! Files that are there whole or not at all, whenever the process or the machine stops.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;

/// Puts a file of this name into the folder, in place of an earlier one, and onto the disk.
///
/// # Errors
/// When the folder can't be written to.
pub(crate) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let (path, partial) = (folder.join(name), folder.join(format!(".{name}.partial")));
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(content.as_ref())?;
        file.sync_data()
    });
    written.map_err(Error::file(&partial))?;
    fs::rename(&partial, &path).map_err(Error::file(&path))
}

/// Puts a file of JSON there, laid out for people.
///
/// # Errors
/// When the folder can't be written to.
pub(crate) fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(value).expect("our own forms hold nothing JSON lacks");
    text.push(b'\n');
    write(folder, name, text)
}
