//! Tells by its first bytes what a file is; its name only says it of an empty one.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;

/// How records are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON object a line.
    Lines,
    /// The same, compressed by gzip.
    Gzip,
    /// A Parquet file.
    Parquet,
}

/// What Parquet begins and ends with.
const PARQUET: &[u8] = b"PAR1";
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl Form {
    /// The form of a file that is there.
    ///
    /// # Errors
    /// When the file can't be read, or is compressed otherwise, or has nothing of the Parquet that
    /// it is named after.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        let start = start(path).map_err(Error::file(path))?;
        let refuse = |reason: &str| Err(Error::file(path)(io::Error::other(reason.to_owned())));
        if start.starts_with(PARQUET) {
            Ok(Self::Parquet)
        } else if start.starts_with(GZIP) {
            Ok(Self::Gzip)
        } else if start.starts_with(ZSTD) {
            refuse("the file is compressed by zstd as a whole; unpack it first, with `zstd -d`")
        } else if start.is_empty() && Self::of_name(path) == Self::Parquet {
            refuse("the file is empty, and Parquet never is: copy or write it again")
        } else {
            Ok(Self::Lines)
        }
    }

    /// The form that a file should have by its name.
    pub(crate) fn of_name(path: &Path) -> Self {
        let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("parquet") => Self::Parquet,
            Some("gz") => Self::Gzip,
            _ => Self::Lines,
        }
    }
}

fn start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start)
}
