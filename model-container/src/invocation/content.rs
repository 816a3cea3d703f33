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

/// Stands behind a table as its last row; where it is not found, a quote was not closed.
const END: &str = "\u{3}";

/// A table's columns are the model's fields in their declared order; it has no headings.
fn table(input: &Input, body: &[u8]) -> Result<Content, Problem> {
    let text = utf8(body)?;
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{line_end}{END}\n");
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut row, mut documents) = (csv::StringRecord::new(), Vec::new());
    loop {
        let place = format!("line {}", reader.position().line());
        let from = reader.position().byte() as usize;
        let is_row =
            reader.read_record(&mut row).map_err(|e| bad_request(format!("{place}: {e}")))?;
        if !is_row {
            return Err(bad_request("a quote of the table is not closed".to_owned()));
        }
        for _ in 0..blank_lines(&text, from) {
            documents.push(blank(input).map_err(|problem| problem.within(&place))?);
        }
        if row.len() == 1 && &row[0] == END {
            return Ok(Content::Several(documents));
        }
        documents.push(columns(input, &row).map_err(|problem| problem.within(&place))?);
        super::check_count(documents.len())?;
    }
}

/// How many blank lines stand at `from`, which the reader passes over.
fn blank_lines(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    // The second half of the line break before.
    let rest = rest.strip_prefix('\n').filter(|_| text[..from].ends_with('\r')).unwrap_or(rest);
    std::iter::successors(behind_break(rest), |rest| behind_break(rest)).count()
}

fn behind_break(text: &str) -> Option<&str> {
    ["\r\n", "\n", "\r"].iter().find_map(|line_break| text.strip_prefix(line_break))
}

/// A blank line is an empty text, where a text is all that a row has.
fn blank(input: &Input) -> Result<Document, Problem> {
    if input.names().count() == 1 {
        return Ok(Document::of_text(input, "")?);
    }
    Err(bad_request("it is blank, or the line before is followed by one".to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(csv: &str) -> Result<Vec<String>, String> {
        match Content::read(&Input::default(), Media::Csv, csv.as_bytes()) {
            Ok(Content::Several(documents)) => Ok(documents.into_iter().map(|d| d.text).collect()),
            Ok(_) => unreachable!("a table is several documents"),
            Err(problem) => Err(problem.detail().to_owned()),
        }
    }

    #[test]
    fn a_table_has_a_document_for_each_row_also_for_a_blank_one() {
        assert_eq!(texts("").unwrap(), [""; 0]);
        assert_eq!(texts("a\n\nb").unwrap(), ["a", "", "b"]);
        assert_eq!(texts("\"a\n\nb\"\r\nc\n\n").unwrap(), ["a\n\nb", "c", ""]);
        assert_eq!(texts("\"\"\n\"say \"\"hi\"\"\"").unwrap(), ["", "say \"hi\""]);
    }

    #[test]
    fn a_table_that_would_be_read_wrongly_is_refused() {
        assert_eq!(texts("\"a\nb\nc\n").unwrap_err(), "a quote of the table is not closed");
        assert!(texts("a\nb,c\n").unwrap_err().starts_with("line 2: it has 2 columns"));
    }
}
