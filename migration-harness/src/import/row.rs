//! A row of a table, or a line of any shape, as a call.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::Call;
use super::columns::Field;
use crate::record::{Answer, Reply, Request};

/// What rows are taken for where they don't tell.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    /// The request's path.
    pub(super) path: String,
    /// The request's content type; JSON or text, by what the body is, where this is missing too.
    pub(super) content_type: Option<String>,
}

/// A row, taken apart.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The parts of a call that are there.
    pub(super) cells: BTreeMap<Field, Cell>,
    /// The members of the request's JSON object, where the body is made of several cells.
    pub(super) members: Vec<(String, Cell)>,
    /// The rest.
    pub(super) unknown: Map<String, Value>,
}

/// What stands at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Text, which may not be UTF-8.
    Text(Bytes),
    /// A JSON value that is no text, as it is written.
    Json(String),
}

impl Cell {
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text,
            Self::Json(json) => json.into(),
        }
    }

    fn into_text(self) -> Result<String, String> {
        String::from_utf8(self.into_bytes().into()).map_err(|error| format!("not UTF-8: {error}"))
    }

    fn content_type(&self) -> &'static str {
        let is_json = match self {
            Self::Json(_) => true,
            Self::Text(text) => {
                matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
                    && serde_json::from_slice::<IgnoredAny>(text).is_ok()
            }
        };
        if is_json { "application/json" } else { "text/plain" }
    }

    /// As JSON; a number stays as it is written.
    fn into_json(self) -> Result<String, String> {
        match self {
            Self::Json(json) => Ok(json),
            Self::Text(_) => Ok(Value::from(self.into_text()?).to_string()),
        }
    }
}

impl Row {
    /// The call that the row tells of.
    ///
    /// # Errors
    /// A sentence for the user, when it tells of none.
    pub(super) fn call(mut self, defaults: &Defaults) -> Result<Call, String> {
        let request = self.request(defaults)?;
        let latency_us = self.latency_us()?;
        let answer = self.answer()?;
        Ok(Call {
            id: self.text(Field::Id)?,
            captured_at: self.text(Field::CapturedAt)?.map(|text| time(&text)).transpose()?,
            model: self.text(Field::Model)?,
            client: self.text(Field::Client)?,
            request,
            reply: Reply { answer, latency_us },
            unknown: self.unknown,
        })
    }

    fn request(&mut self, defaults: &Defaults) -> Result<Request, String> {
        let body = match self.members.is_empty() {
            true => self.cells.remove(&Field::Body).ok_or("there is no request body")?,
            false => Cell::Json(object(std::mem::take(&mut self.members))?),
        };
        let content_type = self.text(Field::ContentType)?.or(defaults.content_type.clone());
        Ok(Request {
            method: self.text(Field::Method)?.unwrap_or_else(|| "POST".to_owned()),
            path: self.text(Field::Path)?.unwrap_or_else(|| defaults.path.clone()),
            content_type: Some(content_type.unwrap_or_else(|| body.content_type().to_owned())),
            headers: BTreeMap::new(),
            body: body.into_bytes(),
        })
    }

    /// A response as it is, or an object of label and score; 200 where no status is told.
    fn answer(&mut self) -> Result<Result<Answer, String>, String> {
        let error = self.text(Field::Error)?;
        let status = self.text(Field::Status)?.map(|text| status(&text)).transpose()?.flatten();
        let body = match self.cells.remove(&Field::Response).filter(|cell| !cell.is_empty()) {
            None => self.label_and_score()?.map(Cell::Json),
            whole => whole,
        };
        if body.is_none() && status.is_none() {
            return Ok(Err(error.unwrap_or_else(|| "no answer was captured".to_owned())));
        }
        let told = self.text(Field::ResponseType)?;
        let content_type = told.or(body.as_ref().map(|cell| cell.content_type().to_owned()));
        let body = body.map(Cell::into_bytes).unwrap_or_default();
        let status = status.unwrap_or(200);
        Ok(Ok(Answer { status, content_type, headers: BTreeMap::new(), body }))
    }

    fn label_and_score(&mut self) -> Result<Option<String>, String> {
        let mut members = Vec::new();
        if let Some(label) = self.cells.remove(&Field::Label).filter(|cell| !cell.is_empty()) {
            members.push(("label".to_owned(), label));
        }
        if let Some(score) = self.text(Field::Score)? {
            let is_number = matches!(serde_json::from_str(&score), Ok(Value::Number(_)));
            let score = if is_number { Cell::Json(score) } else { Cell::Text(score.into()) };
            members.push(("score".to_owned(), score));
        }
        if members.is_empty() { Ok(None) } else { object(members).map(Some) }
    }

    fn latency_us(&mut self) -> Result<Option<u64>, String> {
        let parse = |text: String, factor: f64| match text.parse::<f64>() {
            Ok(number) if (0.0..1e15).contains(&number) => Ok((number * factor).round() as u64),
            _ => Err(format!("`{text}` is no latency")),
        };
        let milliseconds = self.text(Field::LatencyMs)?.map(|text| parse(text, 1_000.0));
        let microseconds = self.text(Field::LatencyUs)?.map(|text| parse(text, 1.0));
        microseconds.or(milliseconds).transpose()
    }

    /// A cell that is not empty.
    fn text(&mut self, field: Field) -> Result<Option<String>, String> {
        let text = self.cells.remove(&field).map(Cell::into_text).transpose();
        Ok(text.map_err(|reason| format!("{field:?} is {reason}"))?.filter(|text| !text.is_empty()))
    }
}

impl Cell {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// Members as a JSON object, in their order.
fn object(members: Vec<(String, Cell)>) -> Result<String, String> {
    let member = |(name, cell): (String, Cell)| {
        let json = cell.into_json().map_err(|reason| format!("`{name}` is {reason}"))?;
        Ok::<_, String>(format!("{}: {json}", Value::from(name)))
    };
    let members: Result<Vec<_>, _> = members.into_iter().map(member).collect();
    Ok(format!("{{{}}}", members?.join(", ")))
}

/// A status, unless it says that there was none.
fn status(text: &str) -> Result<Option<u16>, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(None),
        Ok(status) if (100.0..1000.0).contains(&status) && status.fract() == 0.0 => {
            Ok(Some(status as u16))
        }
        _ => Err(format!("`{text}` is no status")),
    }
}

/// RFC 3339, without an offset in UTC; or a number since 1970, of seconds, or of such smaller
/// units as make it a time near ours.
fn time(text: &str) -> Result<Timestamp, String> {
    let fault = || format!("`{text}` is no time: write it as 2026-11-21T10:00:00.123456Z");
    if let Ok(number) = text.parse::<i64>() {
        let nanoseconds = i128::from(number)
            * match number.unsigned_abs() {
                0..100_000_000_000 => 1_000_000_000,
                100_000_000_000..100_000_000_000_000 => 1_000_000,
                100_000_000_000_000..100_000_000_000_000_000 => 1_000,
                _ => 1,
            };
        return Timestamp::from_nanosecond(nanoseconds).map_err(|_| fault());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let microseconds = (seconds * 1e6).round();
        return match microseconds.abs() < 1e17 {
            true => Timestamp::from_microsecond(microseconds as i64).map_err(|_| fault()),
            false => Err(fault()),
        };
    }
    let without_offset = || {
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(without_offset).ok_or_else(fault)
}

/// A JSON value: nothing for null, the content of a text, anything else as it is written.
pub(super) fn cell(json: &RawValue) -> Result<Option<Cell>, String> {
    let json = json.get();
    match json.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => Ok(Some(Cell::Text(text.into()))),
            Err(error) => Err(error.to_string()),
        },
        _ => Ok(Some(Cell::Json(json.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_understood_in_its_common_forms() {
        for text in [
            "2023-11-14T22:13:20Z",
            "2023-11-15 00:13:20+02:00",
            "2023-11-14 22:13:20",
            "1700000000",
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "1700000000.0",
        ] {
            assert_eq!(time(text).unwrap().as_second(), 1_700_000_000, "{text}");
        }
        for bad in ["yesterday", "", "1e300", "NaN", "2023-13-01", "-9223372036854775808"] {
            assert!(time(bad).is_err() || bad.starts_with('-'), "{bad}");
        }
    }
}
