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

use super::line::Content;
use super::source::Place;
use crate::error::Error;

use batch::Batch;
pub(super) use batch::ColumnRow;
pub(super) use write::Writer;

/// How many rows a batch has, and about how many bytes, whichever is less: what is read ahead is to
/// stay in the processor's caches.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

/// The columns that are read. Of answers, what was sent is not.
fn columns(content: Content) -> impl Iterator<Item = &'static str> {
    let named = ["schema_version", "id", "captured_at", "model", "client", "latency_us"];
    let request = (content == Content::Calls).then_some("request");
    named.into_iter().chain(request).chain(["response", "error", "unknown"])
}

/// The batches of a file; not read any further after an error.
struct Batches {
    path: Arc<Path>,
    content: Content,
    reader: ParquetRecordBatchReader,
    rows_before: u64,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Batches").field(&self.path).finish_non_exhaustive()
    }
}

impl Batches {
    fn open(path: PathBuf, content: Content) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::file(&path))?;
        let damaged = |error| {
            let reason = format!("the Parquet file is cut off or damaged ({error}); copy it again");
            Error::file(&path)(io::Error::other(reason))
        };
        // The types of the file itself, not those of the program that wrote it.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns(content));
            let rows = batch_rows(builder.metadata());
            builder.with_projection(mask).with_batch_size(rows).build()
        });
        let reader = reader.map_err(damaged)?;
        Ok(Self { path: path.into(), content, reader, rows_before: 0 })
    }

    fn read(&mut self) -> Result<Option<Batch>, Error> {
        let rows = guarded(|| Ok(self.reader.next().transpose()?));
        let first = Place { path: Arc::clone(&self.path), line: self.rows_before + 1 };
        let rows = rows.map_err(|error| {
            let reason =
                format!("from here on the Parquet file is damaged ({error}); copy it again");
            Error::Record { place: first.clone(), reason }
        })?;
        let Some(rows) = rows else { return Ok(None) };
        self.rows_before += rows.num_rows() as u64;
        Batch::of(rows, first, self.content).map(Some)
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

/// The rows of a file, one after the other.
#[derive(Debug)]
pub(super) struct Rows {
    batches: Batches,
    batch: Option<Arc<Batch>>,
    next: usize,
}

impl Rows {
    /// Opens a file to read calls, or answers alone.
    ///
    /// # Errors
    /// When it can't be opened, or is no whole Parquet file.
    pub(super) fn open(path: PathBuf, content: Content) -> Result<Self, Error> {
        Ok(Self { batches: Batches::open(path, content)?, batch: None, next: 0 })
    }

    /// The next row, if there is one.
    ///
    /// # Errors
    /// When the file is damaged, or the next rows hold what no record does.
    pub(super) fn read(&mut self) -> Result<Option<ColumnRow>, Error> {
        loop {
            if let Some(batch) = self.batch.as_ref().filter(|batch| self.next < batch.len()) {
                self.next += 1;
                return Ok(Some(ColumnRow::of(batch, self.next - 1)));
            }
            (self.batch, self.next) = (self.batches.read()?.map(Arc::new), 0);
            if self.batch.is_none() {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
