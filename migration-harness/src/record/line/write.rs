//! Writes a record as a JSON line.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{Encoding, SCHEMA_VERSION};
use crate::record::{Answer, Record, Request};

/// The fields that are known, which no unknown one may be written beside.
pub(crate) const FIELDS: [&str; 9] = [
    "schema_version",
    "id",
    "captured_at",
    "model",
    "client",
    "request",
    "response",
    "error",
    "latency_us",
];

/// Appends the record with its line feed.
pub(crate) fn write(record: &Record, text: &mut Vec<u8>) {
    serde_json::to_writer(&mut *text, &Line(record))
        .expect("a record is JSON, and a vector takes it");
    text.push(b'\n');
}

/// The record as a value of JSON, for who adds to it.
pub(crate) fn value(record: &Record) -> Value {
    serde_json::to_value(Line(record)).expect("a record is JSON")
}

struct Line<'a>(&'a Record);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema_version", &SCHEMA_VERSION)?;
        map.serialize_entry("id", &record.id)?;
        map.serialize_entry("captured_at", &format_args!("{:.6}", record.captured_at))?;
        map.serialize_entry("model", &record.model)?;
        if let Some(client) = &record.client {
            map.serialize_entry("client", client)?;
        }
        map.serialize_entry("request", &WrittenRequest::of(&record.request))?;
        match &record.reply.answer {
            Ok(answer) => map.serialize_entry("response", &WrittenAnswer::of(answer))?,
            Err(error) => {
                map.serialize_entry("response", &())?;
                map.serialize_entry("error", error)?;
            }
        }
        if let Some(latency_us) = record.reply.latency_us {
            map.serialize_entry("latency_us", &latency_us)?;
        }
        for (name, value) in &record.unknown {
            if !FIELDS.contains(&name.as_str()) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct WrittenRequest<'a> {
    method: &'a str,
    path: &'a str,
    #[serde(flatten)]
    content: Written<'a>,
}

#[derive(serde::Serialize)]
struct WrittenAnswer<'a> {
    status: u16,
    #[serde(flatten)]
    content: Written<'a>,
}

#[derive(serde::Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
    body: std::borrow::Cow<'a, str>,
    encoding: Encoding,
}

impl<'a> WrittenRequest<'a> {
    fn of(request: &'a Request) -> Self {
        let content = Written::of(request.content_type.as_deref(), &request.headers, &request.body);
        Self { method: &request.method, path: &request.path, content }
    }
}

impl<'a> WrittenAnswer<'a> {
    fn of(answer: &'a Answer) -> Self {
        let content = Written::of(answer.content_type.as_deref(), &answer.headers, &answer.body);
        Self { status: answer.status, content }
    }
}

impl<'a> Written<'a> {
    fn of(
        content_type: Option<&'a str>,
        headers: &'a BTreeMap<String, String>,
        body: &'a [u8],
    ) -> Self {
        let (body, encoding) = Encoding::of_line(body);
        Self { content_type, headers, body, encoding }
    }
}
