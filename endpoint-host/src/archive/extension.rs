//! Archive entries that tell about the entry after them: GNU's long names, and PAX headers.
//!
//! They are read here and not by the tar reader, which takes them into memory whole, however
//! large they are.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tar::{Entry, EntryType, PaxExtensions};

use super::refusal;

/// No name or header needs more.
const LIMIT: u64 = 64 * 1024;

/// What the latest extensions say about the entry that follows.
#[derive(Debug, Default)]
pub(super) struct Extension {
    /// Its path, where its own header has no room for it.
    path: Option<PathBuf>,
    /// Its size, where a PAX header tells it.
    size: Option<u64>,
}

impl Extension {
    /// Takes in an entry that is an extension; tells whether it was one.
    pub(super) fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> io::Result<bool> {
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let bytes = content(entry)?;
                let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                self.path = Some(path(name));
            }
            EntryType::XHeader => self.take_pax(&content(entry)?)?,
            // Links are refused by their own entries, and global headers hold comments.
            EntryType::GNULongLink | EntryType::XGlobalHeader => drop(content(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The path of `entry`, which the extensions were about.
    pub(super) fn path(self, entry: &Entry<'_, impl Read>) -> io::Result<PathBuf> {
        if self.size.is_some_and(|size| size != entry.size()) {
            return Err(refusal("its headers contradict each other about a size".to_owned()));
        }
        self.path.map_or_else(|| Ok(entry.path()?.into_owned()), Ok)
    }

    fn take_pax(&mut self, bytes: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(bytes) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.path = Some(path(record.value_bytes())),
                b"size" => self.size = Some(size(record.value_bytes())?),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(refusal(
                        "it has sparse files; pack it without --sparse".to_owned(),
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn content(entry: &mut Entry<'_, impl Read>) -> io::Result<Vec<u8>> {
    if entry.size() > LIMIT {
        return Err(refusal(format!("it has a header of more than {LIMIT} bytes")));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_owned()
}

fn size(digits: &[u8]) -> io::Result<u64> {
    let digits = std::str::from_utf8(digits).ok();
    let size = digits.and_then(|digits| digits.parse().ok());
    size.ok_or_else(|| refusal("it has a header whose size is no number".to_owned()))
}
