//! About a thousand rows, column by column.

use std::sync::Arc;

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, StructArray};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::column::{Fault, Group, optional};
use super::message::{AnswerRow, Answers, RequestRow, Requests};
use crate::error::Error;
use crate::record::line::{self, Content};
use crate::record::source::Place;
use crate::record::{Fingerprint, Record, Reply, Request};

/// A batch whose columns are there and of the right types.
#[derive(Debug)]
pub(super) struct Batch {
    first: Place,
    content: Content,
    id: StringArray,
    captured_at: Int64Array,
    model: StringArray,
    client: Option<StringArray>,
    request: Option<Requests>,
    response: Option<Answers>,
    error: Option<StringArray>,
    latency_us: Option<Int64Array>,
    unknown: Option<StringArray>,
}

impl Batch {
    /// The batch whose first row stands at a place.
    pub(super) fn of(rows: RecordBatch, first: Place, content: Content) -> Result<Self, Error> {
        let group = Group::new(StructArray::from(rows), "");
        let place = first.clone();
        Self::read(&group, first, content).map_err(|fault| {
            let place = Place { line: place.line + fault.row as u64, ..place };
            Error::Record { place, reason: fault.reason }
        })
    }

    fn read(group: &Group, first: Place, content: Content) -> Result<Self, Fault> {
        check_versions(&group.integers("schema_version")?)?;
        let request = group.group("request", "request.")?.map(Requests::of).transpose()?;
        if request.is_none() && content == Content::Calls {
            let reason = "column `request` is missing: every record has one".to_owned();
            return Err(Fault { row: 0, reason });
        }
        Ok(Self {
            first,
            content,
            id: group.text("id")?,
            captured_at: group.moments("captured_at")?,
            model: group.text("model")?,
            client: group.optional_text("client")?,
            request,
            response: group.group("response", "response.")?.map(Answers::of).transpose()?,
            error: group.optional_text("error")?,
            latency_us: group.optional_integers("latency_us")?,
            unknown: group.optional_text("unknown")?,
        })
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.id.len()
    }
}

fn check_versions(versions: &Int64Array) -> Result<(), Fault> {
    let known = i64::from(line::SCHEMA_VERSION);
    match versions.values().iter().position(|version| *version != known) {
        Some(row) => Err(Fault { row, reason: line::unknown_version(versions.value(row)) }),
        None => Ok(()),
    }
}

/// A row of a batch, which it keeps in memory.
#[derive(Debug)]
pub(crate) struct ColumnRow {
    batch: Arc<Batch>,
    row: usize,
}

impl ColumnRow {
    /// A row that the batch has, from 0.
    pub(super) fn of(batch: &Arc<Batch>, row: usize) -> Self {
        Self { batch: Arc::clone(batch), row }
    }

    /// What stands in it.
    pub(crate) fn at(&self) -> Row<'_> {
        Row { batch: &self.batch, row: self.row }
    }
}

/// What stands in a row of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    batch: &'a Batch,
    row: usize,
}

impl<'a> Row<'a> {
    /// Its file and number.
    pub(crate) fn place(self) -> Place {
        let Place { path, line } = &self.batch.first;
        Place { path: path.clone(), line: line + self.row as u64 }
    }

    /// Names the call in reports.
    pub(crate) fn id(self) -> &'a str {
        self.batch.id.value(self.row)
    }

    /// The model that was called.
    pub(crate) fn model(self) -> &'a str {
        self.batch.model.value(self.row)
    }

    /// On whose behalf, where that is known.
    pub(crate) fn client(self) -> Option<&'a str> {
        optional(self.batch.client.as_ref(), self.row)
    }

    /// What was sent, where that was read.
    pub(crate) fn request(self) -> Option<RequestRow<'a>> {
        self.batch.request.as_ref()?.at(self.row)
    }

    /// What came back, or why nothing did.
    pub(crate) fn answer(self) -> Result<AnswerRow<'a>, &'a str> {
        let answer = self.batch.response.as_ref().and_then(|response| response.at(self.row));
        let error = || optional(self.batch.error.as_ref(), self.row).unwrap_or(line::NO_ANSWER);
        answer.ok_or_else(error)
    }

    /// From the request to the end of the answer, where that was measured.
    pub(crate) fn latency_us(self) -> Option<i64> {
        let latencies = self.batch.latency_us.as_ref().filter(|it| it.is_valid(self.row))?;
        Some(latencies.value(self.row))
    }

    /// The record by itself.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn record(self) -> Result<Record, Error> {
        self.try_record().map_err(|reason| self.fault(reason))
    }

    /// Whether it is a record in any case, and all of that stands in the columns as it is: the
    /// answer, bodies that are verbatim, and no unknown field.
    pub(crate) fn is_plain(self) -> bool {
        let request = match self.request() {
            Some(request) => request.body.is_verbatim(),
            None => self.batch.content == Content::Answers,
        };
        let unknown = optional(self.batch.unknown.as_ref(), self.row);
        request
            && self.answer().is_ok_and(|answer| answer.body.is_verbatim())
            && unknown.is_none()
            && self.latency_us().is_none_or(|latency_us| latency_us >= 0)
            && self.captured_at().is_ok()
    }

    /// How many bytes its bodies have.
    pub(crate) fn bytes(self) -> usize {
        let request = self.request().map_or(0, |request| request.body.written.len());
        request + self.answer().map_or(0, |answer| answer.body.written.len())
    }

    /// What came back of a plain one.
    ///
    /// # Errors
    /// When it can't be told, which makes it no record.
    pub(crate) fn reply(self) -> Result<Reply, Error> {
        self.try_reply().map_err(|reason| self.fault(reason))
    }

    /// Tells the request of a plain one from others, where that was read.
    pub(crate) fn fingerprint(self) -> Option<Fingerprint> {
        Some(self.request()?.fingerprint(self.model()))
    }

    fn try_record(self) -> Result<Record, String> {
        let request = match self.request() {
            Some(request) => request.request()?,
            None if self.batch.content == Content::Answers => Request::default(),
            None => return Err("`request` is null: every record has one".to_owned()),
        };
        Ok(Record {
            id: self.id().to_owned(),
            captured_at: self.captured_at()?,
            model: self.model().to_owned(),
            client: self.client().map(str::to_owned),
            request,
            reply: self.try_reply()?,
            unknown: self.unknown()?,
        })
    }

    fn try_reply(self) -> Result<Reply, String> {
        let answer = match self.answer() {
            Ok(answer) => Ok(answer.answer()?),
            Err(error) => Err(error.to_owned()),
        };
        let latency_us = self.latency_us().map(u64::try_from).transpose();
        Ok(Reply { answer, latency_us: latency_us.map_err(|_| "`latency_us` is out of range")? })
    }

    fn captured_at(self) -> Result<Timestamp, String> {
        Timestamp::from_microsecond(self.batch.captured_at.value(self.row))
            .map_err(|error| format!("`captured_at`: {error}"))
    }

    fn fault(self, reason: String) -> Error {
        Error::Record { place: self.place(), reason }
    }

    fn unknown(self) -> Result<Map<String, Value>, String> {
        match optional(self.batch.unknown.as_ref(), self.row) {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| format!("`unknown` is not the text of a JSON object: {error}")),
            None => Ok(Map::new()),
        }
    }
}
