//! Imports of Parquet: records, and flat tables of others.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow_schema::Field;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use crate::fixture::{Import, SPAM};

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    let batch = batch.unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

/// A table as other tools write it.
fn parquet(path: &Path) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", texts(&[Some("p-1"), Some("p-2")])),
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![1_795_255_200_000_001, 1]))),
        ("text", texts(&[Some("one"), None])),
        ("rating", Arc::new(Int64Array::from(vec![5, 1]))),
        ("label", texts(&[Some("spam"), Some("ham")])),
        ("score", Arc::new(Float64Array::from(vec![0.1, 1e-300]))),
    ];
    write_parquet(path, columns);
}

/// Records as rows, the second without an answer.
fn record_rows(path: &Path) {
    let field = |name: &str, column: ArrayRef| {
        (Arc::new(Field::new(name, column.data_type().clone(), true)), column)
    };
    let request = StructArray::from(vec![
        field("method", texts(&[Some("POST"), Some("POST")])),
        field("path", texts(&[Some("/x"), Some("/x")])),
        field("content_type", texts(&[None, Some("text/plain")])),
        field("body", texts(&[Some("one"), Some("/w==")])),
        field("encoding", texts(&[Some("utf8"), Some("base64")])),
    ]);
    let status: ArrayRef = Arc::new(Int32Array::from(vec![Some(200), None]));
    let response = vec![
        field("status", status),
        field("body", texts(&[Some("1"), None])),
        field("encoding", texts(&[Some("utf8"), None])),
    ];
    let nulls = Some(vec![true, false].into());
    let (fields, columns): (Vec<_>, Vec<_>) = response.into_iter().unzip();
    let response = StructArray::new(fields.into(), columns, nulls);
    let times = TimestampMicrosecondArray::from(vec![1_795_255_200_000_001, 1_795_255_201_000_000]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("schema_version", Arc::new(Int32Array::from(vec![1, 1]))),
        ("id", texts(&[Some("r-1"), Some("r-2")])),
        ("captured_at", Arc::new(times.with_timezone("UTC"))),
        ("model", texts(&[Some("spam"), Some("spam")])),
        ("request", Arc::new(request)),
        ("response", Arc::new(response)),
        ("error", texts(&[None, Some("timed out")])),
        ("unknown", texts(&[Some("{\"shard\": 3}"), None])),
    ];
    write_parquet(path, columns);
}

#[test]
fn records_in_parquet_pass_as_they_are() {
    let import = Import::new();
    let path = import.folder.path().join("r.parquet");
    record_rows(&path);
    let records = import.run(&[&path], &[]).records();
    assert_eq!(
        records,
        [
            json!({"schema_version": 1, "id": "r-1", "captured_at": "2026-11-21T10:00:00.000001Z",
                   "model": "spam", "request": {"method": "POST", "path": "/x", "body": "one",
                   "encoding": "utf8"}, "response": {"status": 200, "body": "1", "encoding": "utf8"},
                   "shard": 3}),
            json!({"schema_version": 1, "id": "r-2", "captured_at": "2026-11-21T10:00:01.000000Z",
                   "model": "spam", "request": {"method": "POST", "path": "/x",
                   "content_type": "text/plain", "body": "/w==", "encoding": "base64"},
                   "response": null, "error": "timed out"}),
        ]
    );
}

#[test]
fn a_flat_parquet_table_is_mapped_as_csv_is() {
    let import = Import::new();
    let path = import.folder.path().join("t.parquet");
    parquet(&path);
    let options = ["--column", "captured_at=ts", "--fields", "text,rating"];
    let records = import.run(&[&path], &[&SPAM[..], &options].concat()).records();
    assert_eq!(records[0]["captured_at"], "2026-11-21T10:00:00.000001Z");
    assert_eq!(records[0]["request"]["body"], r#"{"text": "one", "rating": 5}"#);
    assert_eq!(records[1]["request"]["body"], r#"{"text": null, "rating": 1}"#);
    assert_eq!(records[1]["response"]["body"], r#"{"label": "ham", "score": 1e-300}"#);
}

#[test]
fn parquet_that_is_cut_off_is_refused_with_its_file() {
    let import = Import::new();
    let path = import.folder.path().join("t.parquet");
    parquet(&path);
    let whole = fs::read(&path).unwrap();
    for length in [4, whole.len() / 2, whole.len() - 1] {
        let options = [&SPAM[..], &["--column", "captured_at=ts"]].concat();
        let cut = Import::text("cut.parquet", &whole[..length], &options);
        cut.fails(70, "cut.parquet:1: the rest of the file can't be read");
    }
    let refused = import.run(&[&path], &SPAM);
    refused.fails(70, "t.parquet:2: there is no request body");
}
