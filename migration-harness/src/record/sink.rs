//! Writes records to a file that is there once it is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::parquet::Writer;
use super::source::{Form, PARTIAL};
use super::{Record, line};
use crate::error::Error;

/// One file of records: JSON lines, these compressed by gzip, or Parquet, as its name ends.
///
/// Until it is finished it is called `NAME.partial`, and locked.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    partial: PathBuf,
    writer: Kind,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    Lines(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Parquet(Box<Writer>),
}

impl Sink {
    /// Begins a file; a complete one of that name stays until this one is.
    ///
    /// # Errors
    /// When it can't be written, or somebody else is writing it.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let partial = partial(path);
        let file = lock_new(&partial).map_err(Error::file(&partial))?;
        let writer = match Form::of_name(path) {
            Form::Lines => Kind::Lines(BufWriter::new(file)),
            Form::Gzip => Kind::Gzip(GzEncoder::new(BufWriter::new(file), Compression::default())),
            Form::Parquet => {
                let writer = Writer::new(file).map_err(io::Error::other);
                Kind::Parquet(Box::new(writer.map_err(Error::file(&partial))?))
            }
        };
        Ok(Self { path: path.to_owned(), partial, writer, text: Vec::new() })
    }

    /// Appends a record.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.text.clear();
        let written = match &mut self.writer {
            Kind::Parquet(writer) => writer.write(record).map_err(io::Error::other),
            Kind::Lines(writer) => write_line(record, &mut self.text, writer),
            Kind::Gzip(writer) => write_line(record, &mut self.text, writer),
        };
        written.map_err(Error::file(&self.partial))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// When it can't be written; `NAME.partial` is left then.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Self { path, partial, writer, .. } = self;
        let file = match writer {
            Kind::Lines(writer) => writer.into_inner().map_err(io::IntoInnerError::into_error),
            Kind::Gzip(writer) => writer
                .finish()
                .and_then(|it| it.into_inner().map_err(io::IntoInnerError::into_error)),
            Kind::Parquet(writer) => writer.finish().map_err(io::Error::other),
        };
        let file = file.map_err(Error::file(&partial))?;
        complete(&file, &partial, &path).map_err(Error::file(&path))
    }
}

/// A line that could not be read again is refused.
fn write_line(record: &Record, text: &mut Vec<u8>, writer: &mut impl Write) -> io::Result<()> {
    line::write(record, text);
    if text.len() > line::MAX_BYTES {
        let (id, most) = (&record.id, line::MAX_BYTES);
        return Err(io::Error::other(format!("record `{id}` is longer than {most} bytes")));
    }
    writer.write_all(text)
}

/// The name of a file that is not complete.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(PARTIAL);
    name.into()
}

/// Makes sure that what was written survives a loss of power, then that it is seen.
pub(crate) fn complete(file: &File, partial: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// An empty file that nobody else is writing.
fn lock_new(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    if file.try_lock().is_err() {
        return Err(io::Error::other("another process is writing this file; wait for it"));
    }
    file.set_len(0)?;
    Ok(file)
}
