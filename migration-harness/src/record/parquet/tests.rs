use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, Int16Array, Int64Array, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray,
};
use arrow_schema::Field;
use bytes::Bytes;
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::record::{Answer, Record, Reply, Request, Row, Sink, Source};

fn headers() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-z-]{1,8}", ".{0,8}", 0..3)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", "[\\x00-\\x1f\"\\\\/é😀]{0,10}"]
}

fn body() -> impl Strategy<Value = Bytes> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from);
    prop_oneof![bytes, text().prop_map(Bytes::from)]
}

fn request() -> impl Strategy<Value = Request> {
    (text(), text(), proptest::option::of(text()), headers(), body()).prop_map(
        |(method, path, content_type, headers, body)| Request {
            method,
            path,
            content_type,
            headers,
            body,
        },
    )
}

fn answer() -> impl Strategy<Value = Result<Answer, String>> {
    let answer = (any::<u16>(), proptest::option::of(text()), headers(), body()).prop_map(
        |(status, content_type, headers, body)| Ok(Answer { status, content_type, headers, body }),
    );
    prop_oneof![3 => answer, 1 => text().prop_map(Err)]
}

fn unknown() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |it| it.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
        Just(json!({"unknown": [null, {"a": true}]})),
    ];
    let names = prop_oneof!["[a-z]{3,4}", Just("unknown".to_owned()), Just("truncated".to_owned())];
    proptest::collection::btree_map(names, value, 0..3).prop_map(|it| it.into_iter().collect())
}

fn record() -> impl Strategy<Value = Record> {
    let named = (text(), 0..4_000_000_000_000_000_i64, text(), proptest::option::of(text()));
    let latency_us = proptest::option::of(0..u64::MAX / 2);
    (named, request(), answer(), latency_us, unknown()).prop_map(
        |((id, at, model, client), request, answer, latency_us, unknown)| Record {
            id,
            captured_at: Timestamp::from_microsecond(at).unwrap(),
            model,
            client,
            request,
            reply: Reply { answer, latency_us },
            unknown,
        },
    )
}

fn write(path: &Path, records: &[Record]) {
    let mut sink = Sink::create(path).unwrap();
    for record in records {
        sink.write(record).unwrap();
    }
    sink.finish().unwrap();
}

fn read(path: &Path) -> Vec<Record> {
    Source::open(path).unwrap().map(|it| it.unwrap().record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again_in_every_form(records in proptest::collection::vec(record(), 0..8)) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.jsonl.gz", "a.parquet"] {
            let path = folder.path().join(name);
            write(&path, &records);
            prop_assert_eq!(&read(&path), &records, "{}", name);
        }
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing partial");
    }

    #[test]
    fn a_row_says_what_its_record_says(records in proptest::collection::vec(record(), 0..8)) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.parquet"] {
            let path = folder.path().join(name);
            write(&path, &records);
            let rows = Source::open(&path).unwrap().rows().map(Result::unwrap);
            for (row, numbered) in rows.zip(Source::open(&path).unwrap().map(Result::unwrap)) {
                prop_assert_eq!(said(&row), said(&Row::Record(Box::new(numbered.clone()))));
                prop_assert_eq!(&row.numbered().unwrap().record, &numbered.record);
            }
            let rows = Source::answers(&path).unwrap().rows().map(Result::unwrap);
            for (row, record) in rows.zip(&records) {
                prop_assert_eq!(&row.reply().unwrap(), &record.reply);
            }
        }
    }
}

/// All that a row says without making its record.
fn said(row: &Row) -> impl PartialEq + std::fmt::Debug + use<> {
    let stands = (row.sequence(), row.place());
    let named = format!("{:?}", (row.id(), row.model(), row.client()));
    let marks = (row.is_incomplete(), row.is_chosen());
    (stands, named, marks, row.request(), format!("{:?}", row.answered()))
}

fn sample(number: usize) -> Record {
    let headers = || [("x-a".to_owned(), "b".to_owned())].into();
    let answer = Answer {
        status: 200,
        content_type: Some("application/json".to_owned()),
        headers: headers(),
        body: format!("{{\"score\": {number}}}").into(),
    };
    Record {
        id: format!("id-{number}"),
        captured_at: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
        model: "spam".to_owned(),
        client: number.is_multiple_of(2).then(|| "toybox".to_owned()),
        request: Request {
            method: "POST".to_owned(),
            path: "/score".to_owned(),
            content_type: None,
            headers: headers(),
            body: match number % 3 {
                0 => format!("call {number}").into(),
                _ => Bytes::from(vec![0xff, u8::try_from(number % 256).unwrap()]),
            },
        },
        reply: Reply {
            answer: if number % 5 == 4 { Err("cut".to_owned()) } else { Ok(answer) },
            latency_us: Some(812),
        },
        unknown: Map::new(),
    }
}

fn sample_file(count: usize) -> (TempDir, PathBuf, Vec<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let records: Vec<_> = (0..count).map(sample).collect();
    write(&path, &records);
    (folder, path, records)
}

#[test]
fn plain_rows_stay_in_their_columns_and_others_are_records() {
    // More than a batch, so that there is a border.
    let (_folder, path, records) = sample_file(BATCH_ROWS + 900);
    let rows: Vec<_> = Source::open(&path).unwrap().rows().map(Result::unwrap).collect();
    assert_eq!(rows.len(), records.len());
    for (number, (row, record)) in rows.into_iter().zip(records).enumerate() {
        let is_plain = number % 3 == 0 && number % 5 != 4;
        assert_eq!(matches!(row, Row::Columns { .. }), is_plain, "{number}");
        assert_eq!((row.sequence(), row.place().line), (number as u64, number as u64 + 1));
        assert_eq!(row.numbered().unwrap().record, record);
    }
}

#[test]
fn of_answers_the_requests_are_not_read() {
    let (_folder, path, records) = sample_file(3);
    let read = Source::answers(&path).unwrap().map(|it| it.unwrap().record);
    for (read, record) in read.zip(records) {
        assert_eq!(read, Record { request: Request::default(), ..record });
    }
    let is_plain = |row: Result<Row, Error>| matches!(row.unwrap(), Row::Columns { .. });
    assert!(Source::answers(&path).unwrap().rows().all(is_plain));
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let (_folder, path, _) = sample_file(40);
    let whole = std::fs::read(&path).unwrap();
    for end in (4..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..end]).unwrap();
        let error = Source::open(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("a.parquet") && error.contains("cut off or damaged"), "{error}");
    }
    for at in (4..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(source) = Source::open(&path) {
            source.for_each(drop);
        }
    }
}

fn foreign(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<Record>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.parquet");
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let source = Source::open(&path).map_err(|error| error.to_string())?;
    source.map(|it| it.map(|it| it.record).map_err(|error| error.to_string())).collect()
}

fn texts(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

fn structure(fields: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let field = |(name, array): (&str, ArrayRef)| {
        (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
    };
    Arc::new(StructArray::from(fields.into_iter().map(field).collect::<Vec<_>>()))
}

/// As another program might write it.
fn foreign_columns() -> Vec<(&'static str, ArrayRef)> {
    let body: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\xff\x00"[..]]));
    let headers = structure(vec![("x-a", texts("b"))]);
    let request =
        vec![("method", texts("POST")), ("path", texts("/")), ("body", body), ("headers", headers)];
    let status: ArrayRef = Arc::new(Int16Array::from(vec![200]));
    let response = vec![("status", status), ("body", texts("{}"))];
    vec![
        ("schema_version", Arc::new(Int64Array::from(vec![1]))),
        ("id", texts("a")),
        ("captured_at", texts("2026-11-21T10:00:00.123456Z")),
        ("model", texts("spam")),
        ("request", structure(request)),
        ("response", structure(response)),
        ("of their own", texts("x")),
    ]
}

fn with(name: &str, array: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = foreign_columns();
    columns.iter_mut().find(|it| it.0 == name).unwrap().1 = array;
    columns
}

#[test]
fn files_of_other_programs_are_read() {
    let records = foreign(foreign_columns()).unwrap();
    assert_eq!(records[0].request.body, &b"\xff\x00"[..]);
    assert_eq!(records[0].request.headers["x-a"], "b");
    assert_eq!(records[0].captured_at.as_microsecond(), 1_795_255_200_123_456);
    assert_eq!(records[0].reply.answer.as_ref().unwrap().status, 200);
    let one = |number: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![number])) };
    assert!(foreign(with("schema_version", one(1.0))).is_ok());
    assert!(foreign(with("schema_version", one(1.5))).is_err());
    let milliseconds = Arc::new(TimestampMillisecondArray::from(vec![1_795_255_200_123]));
    let records = foreign(with("captured_at", milliseconds)).unwrap();
    assert_eq!(records[0].captured_at.as_microsecond(), 1_795_255_200_123_000);
}

#[test]
fn columns_that_can_not_be_read_are_named() {
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![2])) };
    for (columns, reason) in [
        (with("schema_version", numbers()), "foreign.parquet:1: `schema_version` 2 is not known"),
        (
            with("schema_version", texts("1")),
            "column `schema_version` is of type Utf8; write it as INT32",
        ),
        (with("captured_at", texts("yesterday")), "`captured_at` is no time like 2026-11-21T10:00"),
        (with("id", numbers()), "column `id` is of type Int64"),
        (
            with("id", Arc::new(StringArray::from(vec![None::<&str>]))),
            "foreign.parquet:1: `id` is null",
        ),
        (with("request", texts("{}")), "column `request` is of type Utf8; write it as a struct"),
        (
            with("request", structure(vec![("method", texts("GET"))])),
            "column `request.path` is missing",
        ),
        (
            with("response", structure(vec![("status", texts("200")), ("body", texts(""))])),
            "`response.status`",
        ),
        (foreign_columns().split_off(1), "column `schema_version` is missing"),
    ] {
        let error = foreign(columns).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}
