//! Captured calls: what one looks like, however it is written down.

pub(crate) mod line;
mod source;
pub(crate) mod parquet;
mod sink;
mod fingerprint;
mod coding;
mod row;

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

pub(crate) use coding::unpack;
pub(crate) use fingerprint::Fingerprint;
pub(crate) use row::Row;
pub(crate) use sink::{Sink, complete, partial};
pub(crate) use source::{Numbered, Place, Source, files};

/// The unknown field that says how a record came into a suite.
pub(crate) const PART: &str = "part";
/// Says of a record that it was chosen for what it is like: its answer counts, and the bound, which
/// is about calls drawn at random, doesn't count on it.
pub(crate) const CHOSEN: &str = "cover";

/// The unknown field of a call that could not be recorded whole: it is kept for who looks into the
/// records, and never sent nor judged, since what would be sent is not what the caller sent, or what
/// came back is not known.
pub(crate) const INCOMPLETE: &str = "incomplete";

/// One captured call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// Names the call in reports.
    pub(crate) id: String,
    /// When the request came.
    pub(crate) captured_at: Timestamp,
    /// The model that was called.
    pub(crate) model: String,
    /// On whose behalf, where that is known.
    pub(crate) client: Option<String>,
    /// What was sent.
    pub(crate) request: Request,
    /// What came back.
    pub(crate) reply: Reply,
    /// Fields that this version doesn't know, kept as they are.
    pub(crate) unknown: Map<String, Value>,
}

impl Record {
    /// Whether it can't be replayed, as it was not recorded whole.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.unknown.get(INCOMPLETE).is_some_and(|mark| *mark == true)
    }

    /// Whether it is in a suite for what it is like, and not at random.
    pub(crate) fn is_chosen(&self) -> bool {
        self.unknown.get(PART).is_some_and(|part| part == CHOSEN)
    }

    /// How much memory all that has no fixed size takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let Self { id, model, client, request, reply, unknown, .. } = self;
        let names = id.len() + model.len() + client.as_ref().map_or(0, String::len);
        let answer_headers = reply.answer.as_ref().map_or(0, |answer| map_bytes(&answer.headers));
        let unknown: usize = unknown.iter().map(|(name, it)| name.len() + value_bytes(it)).sum();
        names
            + request.path.len()
            + map_bytes(&request.headers)
            + request.body.len()
            + reply.body_bytes()
            + answer_headers
            + unknown
    }
}

fn map_bytes(headers: &BTreeMap<String, String>) -> usize {
    headers.iter().map(|(name, value)| size_of::<[String; 2]>() + name.len() + value.len()).sum()
}

fn value_bytes(value: &Value) -> usize {
    let below: usize = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, it)| name.len() + value_bytes(it)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + below
}

/// The request of a captured call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    /// The HTTP method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<String>,
    /// The other headers that were captured.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body, verbatim.
    pub(crate) body: Bytes,
}

impl Request {
    /// The value of a header that was captured, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// The value of a header, whatever the case of its name.
pub(crate) fn header<'a>(headers: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    headers.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// What came back of a call, captured or replayed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// The answer, or why there is none.
    pub(crate) answer: Result<Answer, String>,
    /// From the request to the end of the answer, where that was measured.
    pub(crate) latency_us: Option<u64>,
}

impl Reply {
    /// How much memory the body, or the reason for its absence, takes.
    pub(crate) fn body_bytes(&self) -> usize {
        self.answer.as_ref().map_or_else(String::len, |answer| answer.body.len())
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<String>,
    /// The other headers that were captured.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body, verbatim.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}
