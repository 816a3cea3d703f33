//! Parquet tables: records as they are, or columns of any names.

mod value;

use arrow_array::{ArrayRef, RecordBatch};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;
use serde_json::{Map, Value};

use super::call::{Call, Found, Take};
use super::columns::Columns;
use super::csv_file::Layout;
use super::input::unreadable;
use super::row::{Cell, Row};
use crate::error::Error;
use crate::record::line::Content;
use crate::record::{self, Record};

/// How many rows are held at a time.
const BATCH_ROWS: usize = 256;

/// Reads a file; calls are numbered by their rows.
pub(super) fn read(
    layout: &Layout,
    file: impl ChunkReader + 'static,
    take: &mut Take<'_>,
) -> Result<(), Error> {
    let batches = match open(file) {
        Ok(batches) => batches,
        Err(reason) => return take(1, Found::Bad(reason)),
    };
    let mut rows_before = 0;
    for batch in batches {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return take(rows_before + 1, Found::Bad(unreadable(&error))),
        };
        if let Err(reason) = read_batch(layout, &batch, rows_before, take)? {
            return take(rows_before + 1, Found::Bad(reason));
        }
        rows_before += batch.num_rows() as u64;
    }
    Ok(())
}

fn open(file: impl ChunkReader + 'static) -> Result<ParquetRecordBatchReader, String> {
    // What other writers note about their own types would bring more of them than the file needs.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    let reader = builder.and_then(|builder| builder.with_batch_size(BATCH_ROWS).build());
    reader.map_err(|error| unreadable(&error))
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
