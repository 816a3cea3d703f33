//! Opens the files to import, whatever folder they are in and whether they are packed or not.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::vec;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::call::{Found, MAX_BYTES, Take};
use crate::error::Error;

/// How much is read at a time, and looked at to guess a format.
const BUFFER_BYTES: usize = 64 << 10;
/// How deep folders may be nested; a link to a folder above would nest them without an end.
const MAX_DEPTH: usize = 32;

/// All files of the paths, those of a folder in order of name. Names that begin with `.` or `_`,
/// which other tools leave for themselves, are passed over in folders.
pub(super) struct Files {
    /// What is still to be visited, the innermost folder last.
    levels: Vec<vec::IntoIter<PathBuf>>,
}

impl Files {
    /// The files of these paths.
    pub(super) fn of(paths: Vec<PathBuf>) -> Self {
        Self { levels: vec![paths.into_iter()] }
    }

    fn enter(&mut self, folder: &Path) -> Result<(), Error> {
        if self.levels.len() > MAX_DEPTH {
            let folder = folder.display();
            return Err(Error::Usage(format!("`{folder}`: more than {MAX_DEPTH} folders deep")));
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
            let entry = entry.map_err(Error::file(folder))?;
            if !matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_')) {
                paths.push(entry.path());
            }
        }
        paths.sort();
        self.levels.push(paths.into_iter());
        Ok(())
    }

    fn step(&mut self) -> Result<Option<PathBuf>, Error> {
        while let Some(level) = self.levels.last_mut() {
            let Some(path) = level.next() else {
                self.levels.pop();
                continue;
            };
            let kind = fs::metadata(&path).map_err(Error::file(&path))?;
            if kind.is_file() {
                return Ok(Some(path));
            }
            if !kind.is_dir() {
                return Err(Error::Usage(format!("`{}` is no file or folder", path.display())));
            }
            self.enter(&path)?;
        }
        Ok(None)
    }
}

impl Iterator for Files {
    type Item = Result<PathBuf, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

/// The content of a file, unpacked where it is gzip, without a byte order mark.
///
/// # Errors
/// When it can't be opened or its beginning can't be read.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let mut packed = BufReader::with_capacity(BUFFER_BYTES, file);
    let is_gzip = packed.fill_buf().map_err(Error::file(path))?.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn BufRead> = if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(packed)))
    } else {
        Box::new(packed)
    };
    if reader.fill_buf().map_err(Error::file(path))?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(reader)
}

/// The SHA-256 of a file as it lies there.
///
/// # Errors
/// When it can't be read.
pub(super) fn digest(path: &Path) -> Result<[u8; 32], Error> {
    let mut file = File::open(path).map_err(Error::file(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer).map_err(Error::file(path))? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Gives each line that is not blank to `read`, and what that finds to `take`. A line that is too
/// long is found to be bad.
pub(super) fn each_line(
    reader: &mut dyn BufRead,
    take: &mut Take<'_>,
    mut read: impl FnMut(&[u8]) -> Found,
) -> Result<(), Error> {
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        match (&mut *reader).take(MAX_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Err(error) => return take(number, Found::Rest(unreadable(&error))),
            Ok(MAX_BYTES) if !line.ends_with(b"\n") => {
                line = Vec::new();
                take(number, Found::Bad(format!("the line is longer than {MAX_BYTES} bytes")))?;
                if let Err(error) = reader.skip_until(b'\n') {
                    return take(number, Found::Rest(unreadable(&error)));
                }
            }
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => take(number, read(line.trim_ascii()))?,
        }
    }
}

/// Says that reading can't go on.
pub(super) fn unreadable(error: &dyn std::error::Error) -> String {
    format!("the rest of the file can't be read: {error}")
}

/// A reader that fails when too much is read before its allowance is renewed: what one row or
/// entry may take.
pub(super) struct Rationed<'a> {
    reader: &'a mut dyn BufRead,
    left: Allowance,
}

/// How much may still be read.
#[derive(Clone)]
pub(super) struct Allowance(Rc<Cell<usize>>);

impl Allowance {
    /// Allows as much as one row or entry may take.
    pub(super) fn renew(&self) {
        self.0.set(MAX_BYTES);
    }
}

impl<'a> Rationed<'a> {
    /// Rations a reader.
    pub(super) fn new(reader: &'a mut dyn BufRead) -> Self {
        Self { reader, left: Allowance(Rc::new(Cell::new(MAX_BYTES))) }
    }

    /// What it may still read, to be renewed.
    pub(super) fn allowance(&self) -> Allowance {
        self.left.clone()
    }
}

impl Read for Rationed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.0.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!("more than {MAX_BYTES} bytes in one piece")));
        }
        let most = buffer.len().min(left);
        let read = self.reader.read(&mut buffer[..most])?;
        self.left.0.set(left - read);
        Ok(read)
    }
}
