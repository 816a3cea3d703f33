//! A captured call as a JSON line.

mod body;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Answer, Record, Reply, Request};

use body::Body;
pub(crate) use body::Encoding;
pub(super) use body::decode_base64;
pub(crate) use write::{FIELDS, value, write};

/// The one version of the record form that is known.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What stands for the error of a call that has neither an answer nor an error.
pub(super) const NO_ANSWER: &str = "no answer was captured";

/// The longest line that is read, and so the longest that is written; several times the largest call
/// that SageMaker takes.
pub(crate) const MAX_BYTES: usize = 64 << 20;

/// What a line has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Calls: what was sent, and what came back.
    Calls,
    /// What came back, whether or not the line says of what: an absent request is an empty one.
    Answers,
}

/// The record that a line holds.
///
/// # Errors
/// A sentence for the user, when it holds none.
pub(crate) fn parse(line: &[u8], content: Content) -> Result<Record, String> {
    // All at once, which is quicker than string by string; where it is no UTF-8, that says where.
    let read: Result<Line<'_>, _> = match std::str::from_utf8(line) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(line),
    };
    read.map_err(|error| reason(&error))?.record(content)
}

/// Says of a version that is not known what to do about it.
pub(super) fn unknown_version(version: impl fmt::Display) -> String {
    format!(
        "`schema_version` {version} is not known; this program reads {SCHEMA_VERSION}: use the one \
         that wrote the record, or write it in that version"
    )
}

/// The place is told without the parser's line, which is always the first.
fn reason(error: &serde_json::Error) -> String {
    let byte = error.column();
    if error.is_eof() {
        return format!(
            "the line ends in the middle of a record, after {byte} bytes (EOF): a record is one \
             line; remove what was cut off, or write it whole"
        );
    }
    format!("{}, at byte {byte}", fault(error))
}

fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
}

/// The fields of a line as they come; what is borrowed stands in the line as it is.
#[derive(Default)]
struct Line<'a> {
    schema_version: Option<u32>,
    id: Option<String>,
    captured_at: Option<Timestamp>,
    model: Option<String>,
    client: Option<Option<String>>,
    request: Option<Option<WrittenRequest<'a>>>,
    response: Option<Option<WrittenAnswer<'a>>>,
    error: Option<Option<String>>,
    latency_us: Option<Option<u64>>,
    unknown: Map<String, Value>,
}

impl Line<'_> {
    fn record(self, content: Content) -> Result<Record, String> {
        self.schema_version.ok_or_else(|| missing("schema_version"))?;
        let answer = match self.response.flatten() {
            Some(response) => Ok(response.answer()?),
            None => Err(self.error.flatten().unwrap_or_else(|| NO_ANSWER.to_owned())),
        };
        let request = match self.request.flatten() {
            Some(request) => request.request()?,
            None if content == Content::Answers => Request::default(),
            None => return Err(missing("request")),
        };
        Ok(Record {
            id: self.id.ok_or_else(|| missing("id"))?,
            captured_at: self.captured_at.ok_or_else(|| missing("captured_at"))?,
            model: self.model.ok_or_else(|| missing("model"))?,
            client: self.client.flatten(),
            request,
            reply: Reply { answer, latency_us: self.latency_us.flatten() },
            unknown: self.unknown,
        })
    }
}

fn missing(field: &str) -> String {
    format!("missing field `{field}`: every record has one")
}

/// A hand-written reading: serde's own for structs with unknown fields would first copy every field
/// into a buffer.
impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut line = Line::default();
        while let Some(Name(name)) = map.next_key()? {
            let map = &mut map;
            match name.as_ref() {
                "schema_version" => {
                    once(&mut line.schema_version, "schema_version", map)?;
                    check_version(line.schema_version)?;
                }
                "id" => once(&mut line.id, "id", map)?,
                "captured_at" => once(&mut line.captured_at, "captured_at", map)?,
                "model" => once(&mut line.model, "model", map)?,
                "client" => once(&mut line.client, "client", map)?,
                "request" => once(&mut line.request, "request", map)?,
                "response" => once(&mut line.response, "response", map)?,
                "error" => once(&mut line.error, "error", map)?,
                "latency_us" => once(&mut line.latency_us, "latency_us", map)?,
                _ => {
                    line.unknown.insert(name.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(line)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Option<T>,
    name: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if field.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *field = Some(map.next_value()?);
    Ok(())
}

/// At once, as the fields of another version may be others.
fn check_version<E: serde::de::Error>(version: Option<u32>) -> Result<(), E> {
    match version {
        Some(version) if version != SCHEMA_VERSION => Err(E::custom(unknown_version(version))),
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct WrittenRequest<'a> {
    method: String,
    path: String,
    content_type: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    body: Body<'a>,
    encoding: Encoding,
}

/// An answer as it is written, also in a line of answers alone.
#[derive(Deserialize)]
pub(crate) struct WrittenAnswer<'a> {
    status: u16,
    content_type: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    body: Body<'a>,
    encoding: Encoding,
}

impl WrittenRequest<'_> {
    fn request(self) -> Result<Request, String> {
        let Self { method, path, content_type, headers, body, encoding } = self;
        let (headers, body) = (headers.unwrap_or_default(), encoding.decode(body)?);
        Ok(Request { method, path, content_type, headers, body })
    }
}

impl WrittenAnswer<'_> {
    /// What it says.
    ///
    /// # Errors
    /// A sentence for the user, when its body is not what it is said to be.
    pub(crate) fn answer(self) -> Result<Answer, String> {
        let Self { status, content_type, headers, body, encoding } = self;
        let (headers, body) = (headers.unwrap_or_default(), encoding.decode(body)?);
        Ok(Answer { status, content_type, headers, body })
    }
}
