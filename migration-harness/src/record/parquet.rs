//! Captured calls in Parquet, a batch of rows at a time, whose columns can be read without making
//! records of them.

mod batch;
mod body;
mod column;
mod message;
mod write;

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::Record;
use super::line::Content;
use super::source::{Form, Place, files};
use crate::error::Error;

pub(crate) use batch::Batch;
pub(super) use write::Writer;

/// How many rows a batch has, and about how many bytes, whichever is less.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;

/// Which columns are read; those that name the call always are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// What has to be there.
    pub(crate) content: Content,
    /// `request`.
    pub(crate) request: bool,
    /// `response` and `error`.
    pub(crate) answer: bool,
    /// `unknown`.
    pub(crate) unknown: bool,
}

impl Columns {
    /// All of them.
    pub(crate) fn all(content: Content) -> Self {
        Self { content, request: true, answer: true, unknown: true }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let always = ["schema_version", "id", "captured_at", "model", "client", "latency_us"];
        let request = self.request.then_some("request");
        let answer = self.answer.then_some(["response", "error"]);
        let unknown = self.unknown.then_some("unknown");
        always.into_iter().chain(request).chain(answer.into_iter().flatten()).chain(unknown)
    }
}

/// The batches of one or more files; an iterator that ends in an error at the first that can't be
/// read.
#[derive(Debug)]
pub(crate) struct Batches {
    columns: Columns,
    files: std::vec::IntoIter<PathBuf>,
    open: Option<Open>,
}

struct Open {
    path: Arc<Path>,
    reader: ParquetRecordBatchReader,
    rows_before: u64,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Open").field(&self.path).finish_non_exhaustive()
    }
}

impl Batches {
    /// The batches of a file or folder, if all that it holds is Parquet.
    ///
    /// # Errors
    /// When nothing is there, or a file can't be opened.
    #[cfg_attr(not(test), expect(dead_code, reason = "the columns are for `diff`"))]
    pub(crate) fn open(path: &Path, columns: Columns) -> Result<Option<Self>, Error> {
        let files = files(path)?;
        for file in &files {
            if Form::of(file)? != Form::Parquet {
                return Ok(None);
            }
        }
        Ok(Some(Self::of_files(files, columns)))
    }

    /// The batches of files that are known to be Parquet.
    pub(super) fn of_files(files: Vec<PathBuf>, columns: Columns) -> Self {
        Self { columns, files: files.into_iter(), open: None }
    }

    fn read(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(batch) = open.read(self.columns)?
            {
                return Ok(Some(batch));
            }
            let Some(path) = self.files.next() else { return Ok(None) };
            self.open = Some(Open::file(path, self.columns)?);
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, Error>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if next.is_err() {
            self.open = None;
            self.files = Vec::new().into_iter();
        }
        next.transpose()
    }
}

impl Open {
    fn file(path: PathBuf, columns: Columns) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::file(&path))?;
        let damaged = |error| {
            let reason = format!("the Parquet file is cut off or damaged ({error}); copy it again");
            Error::file(&path)(io::Error::other(reason))
        };
        // The types of the file itself, not those of the program that wrote it.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.names());
            let rows = batch_rows(builder.metadata());
            builder.with_projection(mask).with_batch_size(rows).build()
        });
        let reader = reader.map_err(damaged)?;
        Ok(Self { path: path.into(), reader, rows_before: 0 })
    }

    fn read(&mut self, columns: Columns) -> Result<Option<Batch>, Error> {
        let rows = guarded(|| Ok(self.reader.next().transpose()?));
        let first = Place { path: Arc::clone(&self.path), line: self.rows_before + 1 };
        let rows = rows.map_err(|error| {
            let reason =
                format!("from here on the Parquet file is damaged ({error}); copy it again");
            Error::Record { place: first.clone(), reason }
        })?;
        let Some(rows) = rows else { return Ok(None) };
        self.rows_before += rows.num_rows() as u64;
        Batch::of(rows, first, columns).map(Some)
    }
}

/// Runs a part of the library's reader, which panics at some files that are damaged; it is not used
/// any more after an error.
///
/// # Errors
/// The library's, or that it panicked.
pub(crate) fn guarded<T>(
    read: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ParquetError> {
    let panicked = |_| Err(ParquetError::General("what it says of itself can't be".to_owned()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

/// So many rows that no batch is much larger than it should be, however large they are.
pub(crate) fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let row_bytes = metadata.row_groups().iter().map(|group| {
        let (bytes, rows) = (group.total_byte_size().max(0), group.num_rows().max(1));
        usize::try_from(bytes / rows).unwrap_or(usize::MAX)
    });
    (BATCH_BYTES / row_bytes.max().unwrap_or(0).max(1)).clamp(1, BATCH_ROWS)
}

/// The records of batches, one after the other.
#[derive(Debug)]
pub(super) struct Rows {
    batches: Batches,
    batch: Option<Batch>,
    next: usize,
}

impl Rows {
    pub(super) fn of(batches: Batches) -> Self {
        Self { batches, batch: None, next: 0 }
    }

    /// The next record and where it stands, if there is one.
    pub(super) fn read(&mut self) -> Result<Option<(Place, Record)>, Error> {
        loop {
            if let Some(row) = self.batch.as_ref().and_then(|batch| batch.row(self.next)) {
                self.next += 1;
                return Ok(Some((row.place(), row.record()?)));
            }
            (self.batch, self.next) = (self.batches.next().transpose()?, 0);
            if self.batch.is_none() {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
