//! Parquet tables: records as they are, or columns of any names. No more is held at a time than a
//! few megabytes of rows.

mod value;

use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use serde_json::{Map, Value};

use super::call::{Call, Found, Take};
use super::columns::Columns;
use super::csv_file::Layout;
use super::input::unreadable;
use super::row::{Cell, Row};
use crate::error::Error;
use crate::record::line::Content;
use crate::record::parquet::{batch_rows, guarded};
use crate::record::{self, Record};

/// Reads a file; calls are numbered by their rows.
pub(super) fn read(
    layout: &Layout,
    file: impl ChunkReader + 'static,
    take: &mut Take<'_>,
) -> Result<(), Error> {
    let mut batches = match open(file) {
        Ok(batches) => batches,
        Err(error) => return take(1, Found::Rest(unreadable(&error))),
    };
    let mut rows_before = 0;
    loop {
        let batch = match guarded(|| Ok(batches.next().transpose()?)) {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(()),
            Err(error) => return take(rows_before + 1, Found::Rest(unreadable(&error))),
        };
        if let Err(reason) = read_batch(layout, &batch, rows_before, take)? {
            return take(rows_before + 1, Found::Rest(reason));
        }
        rows_before += batch.num_rows() as u64;
    }
}

fn open(file: impl ChunkReader + 'static) -> Result<ParquetRecordBatchReader, ParquetError> {
    // What other writers note about their own types would bring more of them than the file needs.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
        let rows = batch_rows(builder.metadata());
        builder.with_batch_size(rows).build()
    })
}

/// A fault of the whole table is given back.
fn read_batch(
    layout: &Layout,
    batch: &RecordBatch,
    rows_before: u64,
    take: &mut Take<'_>,
) -> Result<Result<(), String>, Error> {
    let names: Vec<String> =
        batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
    let has = |name: &str| names.iter().any(|other| other == name);
    let is_ours = has("schema_version") && has("request");
    let columns = match is_ours {
        true => None,
        false => match Columns::of(&names, &layout.columns, &layout.members) {
            Ok(columns) => Some(columns),
            Err(reason) => return Ok(Err(reason)),
        },
    };
    for row in 0..batch.num_rows() {
        let found = match &columns {
            Some(columns) => Found::of(call(layout, columns, batch, row)),
            None => match record(&names, batch.columns(), row) {
                Ok(record) => Found::Record(Box::new(record)),
                Err(reason) => Found::Bad(reason),
            },
        };
        take(rows_before + row as u64 + 1, found)?;
    }
    Ok(Ok(()))
}

fn call(
    layout: &Layout,
    columns: &Columns,
    batch: &RecordBatch,
    row: usize,
) -> Result<Call, String> {
    let cell = |column: usize| {
        let fault = |reason| format!("`{}`: {reason}", batch.schema_ref().field(column).name());
        value::cell(batch.column(column), row).map_err(fault)
    };
    let mut found = Row::default();
    for (field, column) in &columns.fields {
        found.cells.extend(cell(*column)?.map(|cell| (*field, cell)));
    }
    for (name, column) in &columns.members {
        let cell = cell(*column)?.unwrap_or(Cell::Json("null".to_owned()));
        found.members.push((name.clone(), cell));
    }
    for (name, column) in &columns.others {
        let value = value::value(batch.column(*column), row);
        let value = value.map_err(|reason| format!("`{name}`: {reason}"))?;
        found.unknown.extend(Some((name.clone(), value)).filter(|(_, value)| !value.is_null()));
    }
    found.call(&layout.defaults)
}

/// A row of records, whose unknown fields are a column of JSON.
fn record(names: &[String], columns: &[ArrayRef], row: usize) -> Result<Record, String> {
    let mut members = Map::new();
    for (name, column) in names.iter().zip(columns) {
        let value = value::value(column, row).map_err(|reason| format!("`{name}`: {reason}"))?;
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("unknown", Value::String(json)) => {
                let unknown: Map<String, Value> =
                    serde_json::from_str(&json).map_err(|error| format!("`unknown`: {error}"))?;
                members.extend(unknown);
            }
            (_, value) => {
                members.insert(name.clone(), value);
            }
        }
    }
    record::line::parse(Value::Object(members).to_string().as_bytes(), Content::Calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::row::Defaults;
    use crate::record::Sink;
    use crate::tally::tests::record;

    fn written(count: u64, body_bytes: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut sink = Sink::create(&path).unwrap();
        for number in 0..count {
            let mut record = record(&number.to_string(), "spam", "a", "x");
            record.request.body = "x".repeat(body_bytes).into();
            sink.write(&record).unwrap();
        }
        sink.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn rows_are_held_by_their_size_and_not_by_their_number() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &written(256, 200 << 10)).unwrap();
        let rows: Vec<_> = open(file).unwrap().map(|batch| batch.unwrap().num_rows()).collect();
        assert!(rows.iter().sum::<usize>() == 256 && rows[0] < 64, "{rows:?}");
    }

    #[test]
    fn a_damaged_file_is_told_and_never_a_panic() {
        let whole = written(40, 10);
        let defaults = Defaults { path: "/".to_owned(), content_type: None };
        let (columns, members) = (Vec::new(), Vec::new());
        let layout = Layout { delimiter: None, columns, members, defaults };
        let mut told = 0;
        for at in (4..whole.len()).step_by(5) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let mut take = |_: u64, found: Found| {
                told += u32::from(matches!(found, Found::Rest(_)));
                Ok(())
            };
            read(&layout, bytes::Bytes::from(bytes), &mut take).unwrap();
        }
        assert!(told > 0);
    }
}
