//! What a request's body holds: one document, or several with the places that they came from.

use std::fmt;

use hyper::StatusCode;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::media::Media;
use crate::Error;
use crate::document::{Document, Field};
use crate::package::Input;
use crate::problem::Problem;

/// The documents of one request.
pub(crate) enum Content {
    /// One object of fields, or one text.
    One(Document),
    /// A list or a table; one that is malformed spoils the request.
    Several(Vec<Document>),
    /// Lines, each with its number; one that is malformed is answered in its place.
    Lines(Vec<(usize, Result<Document, Problem>)>),
}

impl Content {
    /// Reads a body of any content type that the container knows.
    pub(crate) fn read(input: &Input, media: Media, body: &[u8]) -> Result<Self, Problem> {
        match media {
            Media::Text => Ok(Self::One(Document::of_text(input, utf8(body)?)?)),
            Media::Json => json(input, body),
            Media::JsonLines | Media::NdJson => lines(input, body),
            Media::Csv => table(input, body),
        }
    }
}

/// Reads one object of fields.
pub(crate) fn object(input: &Input, json: &[u8]) -> Result<Document, Problem> {
    Ok(Document::of_fields(input, &parse(input, json)?.fields)?)
}

fn json(input: &Input, body: &[u8]) -> Result<Content, Problem> {
    let Body { fields, instances } = parse(input, body)?;
    let Some(instances) = instances else {
        return Ok(Content::One(Document::of_fields(input, &fields)?));
    };
    let instances: Vec<&RawValue> =
        serde_json::from_str(instances.get()).map_err(|error| malformed(&error))?;
    super::check_count(instances.len())?;
    let documents = instances.iter().enumerate().map(|(index, instance)| {
        let document = object(input, instance.get().as_bytes());
        document.map_err(|problem| problem.within(&format!("instances[{index}]")))
    });
    Ok(Content::Several(documents.collect::<Result<_, _>>()?))
}

fn lines(input: &Input, body: &[u8]) -> Result<Content, Problem> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
    super::check_count(lines.len())?;
    let documents = lines.into_iter().map(|(index, line)| (index + 1, object(input, line)));
    Ok(Content::Lines(documents.collect()))
}

/// A table has no headings: its columns are the model's fields in their declared order.
fn table(input: &Input, body: &[u8]) -> Result<Content, Problem> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(utf8(body)?.as_bytes());
    let mut documents = Vec::new();
    for (index, row) in reader.records().enumerate() {
        super::check_count(index + 1)?;
        let row = row.map_err(|error| bad_request(format!("row {}: {error}", index + 1)))?;
        let document = columns(input, &row);
        documents.push(document.map_err(|problem| problem.within(&format!("row {}", index + 1)))?);
    }
    Ok(Content::Several(documents))
}

fn columns(input: &Input, row: &csv::StringRecord) -> Result<Document, Problem> {
    if row.len() != input.names().count() {
        let names = input.names().collect::<Vec<_>>().join("`, `");
        let detail = format!("it has {} columns, and the model's are `{names}`", row.len());
        return Err(bad_request(detail));
    }
    let (texts, numbers) = (row.iter().take(input.text.len()), row.iter().skip(input.text.len()));
    let texts = texts.map(|text| Ok(Field::Text(text.into())));
    let fields = texts.chain(numbers.zip(&input.numbers).map(|(cell, name)| number(cell, name)));
    Ok(Document::of_fields(input, &fields.collect::<Result<Vec<_>, _>>()?)?)
}

fn number<'a>(cell: &str, name: &str) -> Result<Field<'a>, Problem> {
    match cell.trim() {
        "" => Ok(Field::Absent),
        // Infinity is no number in JSON either.
        cell => match cell.parse() {
            Ok(number) if f64::is_finite(number) => Ok(Field::Number(number)),
            _ => Err(Error::Unscorable(format!("field `{name}` must be a number")).into()),
        },
    }
}

/// A JSON object's declared fields, and its `instances` if it is a list of them.
struct Body<'de> {
    fields: Vec<Field<'de>>,
    instances: Option<&'de RawValue>,
}

fn parse<'de>(input: &Input, json: &'de [u8]) -> Result<Body<'de>, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let body = BodyOf(input).deserialize(&mut deserializer).map_err(|error| malformed(&error))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(body)
}

struct BodyOf<'a>(&'a Input);

impl<'de> DeserializeSeed<'de> for BodyOf<'_> {
    type Value = Body<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodyOf<'_> {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut body = Body { fields: self.0.absent(), instances: None };
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if self.0.take(&key.0, &mut map, &mut body.fields)? {
                continue;
            }
            if key.0 == "instances" {
                let value: &RawValue = map.next_value()?;
                body.instances = Some(value).filter(|value| value.get().starts_with('['));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(body)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

fn utf8(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body)
        .map_err(|error| bad_request(format!("the body is not UTF-8: {error}")))
}

fn malformed(error: &serde_json::Error) -> Problem {
    bad_request(format!("this is not a JSON object of fields: {error}"))
}

fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
