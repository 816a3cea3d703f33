//! Writes records as Parquet: columns named as the fields, compressed by zstd.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, Int32Builder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, Int32Array, RecordBatch, StructArray};
use arrow_schema::{ArrowError, Field, Fields};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::record::line::{Encoding, SCHEMA_VERSION};
use crate::record::{Answer, Record, Request};

/// When rows are handed to the writer: so many, or of so many bytes.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 4 << 20;
/// How large a row group gets, which is held in memory until then.
const GROUP_BYTES: usize = 32 << 20;

/// Writes one file. It can be read once it is finished, and not before.
#[derive(Debug)]
pub(in crate::record) struct Writer {
    writer: ArrowWriter<File>,
    rows: Rows,
    bytes: usize,
}

impl Writer {
    pub(in crate::record) fn new(file: File) -> Result<Self> {
        let mut rows = Rows::default();
        let schema = rows.finish()?.schema();
        let options = ArrowWriterOptions::new().with_properties(properties()?);
        let options = options.with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, schema, options)?;
        Ok(Self { writer, rows, bytes: 0 })
    }

    pub(in crate::record) fn write(&mut self, record: &Record) -> Result<()> {
        self.rows.append(record)?;
        let answer = record.reply.answer.as_ref().map_or(0, |answer| answer.body.len());
        self.bytes += record.request.body.len() + answer;
        if self.rows.id.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Writes what the reader needs to know, and gives the file back.
    pub(in crate::record) fn finish(mut self) -> Result<File> {
        self.write_batch()?;
        self.writer.into_inner()
    }

    fn write_batch(&mut self) -> Result<()> {
        self.bytes = 0;
        self.writer.write(&self.rows.finish()?)?;
        if self.writer.in_progress_size() >= GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }
}

/// Bodies are too long for statistics, and what differs in each row for dictionaries.
fn properties() -> Result<WriterProperties> {
    let column =
        |parts: &[&str]| ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect());
    let request = || column(&["request", "body"]);
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(request(), EnabledStatistics::None)
        .set_column_statistics_enabled(column(&["response", "body"]), EnabledStatistics::None)
        .set_column_dictionary_enabled(request(), false)
        .set_column_dictionary_enabled(column(&["id"]), false)
        .build())
}

/// The rows of the next batch.
#[derive(Debug)]
struct Rows {
    id: StringBuilder,
    captured_at: TimestampMicrosecondBuilder,
    model: StringBuilder,
    client: StringBuilder,
    request: Requests,
    response: Answers,
    error: StringBuilder,
    latency_us: Int64Builder,
    unknown: StringBuilder,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            id: StringBuilder::new(),
            captured_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            model: StringBuilder::new(),
            client: StringBuilder::new(),
            request: Requests::default(),
            response: Answers::default(),
            error: StringBuilder::new(),
            latency_us: Int64Builder::new(),
            unknown: StringBuilder::new(),
        }
    }
}

impl Rows {
    fn append(&mut self, record: &Record) -> Result<()> {
        self.id.append_value(&record.id);
        self.captured_at.append_value(record.captured_at.as_microsecond());
        self.model.append_value(&record.model);
        self.client.append_option(record.client.as_deref());
        self.request.append(&record.request)?;
        self.response.append(record.reply.answer.as_ref().ok())?;
        self.error.append_option(record.reply.answer.as_ref().err());
        let latency = record.reply.latency_us;
        self.latency_us.append_option(latency.map(|it| i64::try_from(it).unwrap_or(i64::MAX)));
        let unknown = (!record.unknown.is_empty()).then(|| serde_json::to_string(&record.unknown));
        let unknown = unknown.transpose().map_err(|error| ArrowError::JsonError(error.to_string()));
        self.unknown.append_option(unknown?);
        Ok(())
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let id = self.id.finish();
        let version = i32::try_from(SCHEMA_VERSION).unwrap_or_default();
        let versions = Int32Array::from_value(version, arrow_array::Array::len(&id));
        Ok(RecordBatch::try_from_iter_with_nullable([
            ("schema_version", Arc::new(versions) as ArrayRef, false),
            ("id", Arc::new(id), false),
            ("captured_at", Arc::new(self.captured_at.finish()), false),
            ("model", Arc::new(self.model.finish()), false),
            ("client", Arc::new(self.client.finish()), true),
            ("request", Arc::new(self.request.finish()?), false),
            ("response", Arc::new(self.response.finish()?), true),
            ("error", Arc::new(self.error.finish()), true),
            ("latency_us", Arc::new(self.latency_us.finish()), true),
            ("unknown", Arc::new(self.unknown.finish()), true),
        ])?)
    }
}

#[derive(Debug, Default)]
struct Requests {
    method: StringBuilder,
    path: StringBuilder,
    content: Contents,
}

#[derive(Debug, Default)]
struct Answers {
    status: Int32Builder,
    content: Contents,
}

impl Requests {
    fn append(&mut self, request: &Request) -> Result<()> {
        self.method.append_value(&request.method);
        self.path.append_value(&request.path);
        let content_type = request.content_type.as_deref();
        self.content.append(Some((content_type, &request.headers, &request.body)))
    }

    fn finish(&mut self) -> Result<StructArray> {
        let method: Column = ("method", Arc::new(self.method.finish()), false);
        self.content.finish([method, ("path", Arc::new(self.path.finish()), false)])
    }
}

impl Answers {
    fn append(&mut self, answer: Option<&Answer>) -> Result<()> {
        self.status.append_option(answer.map(|answer| i32::from(answer.status)));
        self.content
            .append(answer.map(|it| (it.content_type.as_deref(), &it.headers, it.body.as_ref())))
    }

    fn finish(&mut self) -> Result<StructArray> {
        self.content.finish([("status", Arc::new(self.status.finish()), false)])
    }
}

type Column = (&'static str, ArrayRef, bool);
type Content<'a> = (Option<&'a str>, &'a BTreeMap<String, String>, &'a [u8]);

/// What requests and answers have in common.
#[derive(Debug)]
struct Contents {
    valid: Vec<bool>,
    content_type: StringBuilder,
    headers: MapBuilder<StringBuilder, StringBuilder>,
    body: StringBuilder,
    encoding: StringBuilder,
}

impl Default for Contents {
    fn default() -> Self {
        let [entry, key, value] = ["key_value", "key", "value"].map(str::to_owned);
        let names = Some(MapFieldNames { entry, key, value });
        Self {
            valid: Vec::new(),
            content_type: StringBuilder::new(),
            headers: MapBuilder::new(names, StringBuilder::new(), StringBuilder::new()),
            body: StringBuilder::new(),
            encoding: StringBuilder::new(),
        }
    }
}

impl Contents {
    /// What there is, or that there is nothing.
    fn append(&mut self, content: Option<Content<'_>>) -> Result<()> {
        self.valid.push(content.is_some());
        self.content_type.append_option(content.and_then(|(content_type, ..)| content_type));
        for (name, value) in content.into_iter().flat_map(|(_, headers, _)| headers) {
            self.headers.keys().append_value(name);
            self.headers.values().append_value(value);
        }
        self.headers.append(content.is_some_and(|(_, headers, _)| !headers.is_empty()))?;
        let written = content.map(|(.., body)| Encoding::of(body));
        self.encoding.append_option(written.as_ref().map(|(_, encoding)| encoding.name()));
        self.body.append_option(written.map(|(body, _)| body));
        Ok(())
    }

    fn finish<const N: usize>(&mut self, before: [Column; N]) -> Result<StructArray> {
        let own: [Column; 4] = [
            ("content_type", Arc::new(self.content_type.finish()), true),
            ("headers", Arc::new(self.headers.finish()), true),
            ("body", Arc::new(self.body.finish()), false),
            ("encoding", Arc::new(self.encoding.finish()), false),
        ];
        let columns: Vec<_> = before.into_iter().chain(own).collect();
        let field = |(name, array, nullable): &Column| {
            Field::new(*name, array.data_type().clone(), *nullable)
        };
        let fields: Fields = columns.iter().map(field).collect();
        let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
        let valid = std::mem::take(&mut self.valid);
        Ok(StructArray::try_new(fields, arrays, Some(valid.into()))?)
    }
}
