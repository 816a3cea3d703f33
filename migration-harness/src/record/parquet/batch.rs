//! Some thousand rows, column by column.

use arrow_array::{Array, Int64Array, RecordBatch, StringArray, StructArray};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Columns;
use super::column::{Fault, Group, optional};
use super::message::{AnswerRow, Answers, RequestRow, Requests};
use crate::error::Error;
use crate::record::line::{self, Content};
use crate::record::source::Place;
use crate::record::{Record, Reply, Request};

/// A batch whose columns are there and of the right types.
#[derive(Debug)]
pub(crate) struct Batch {
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
    pub(super) fn of(rows: RecordBatch, first: Place, columns: Columns) -> Result<Self, Error> {
        let group = Group::new(StructArray::from(rows), "");
        let place = first.clone();
        Self::read(&group, first, columns).map_err(|fault| {
            let place = Place { line: place.line + fault.row as u64, ..place };
            Error::Record { place, reason: fault.reason }
        })
    }

    fn read(group: &Group, first: Place, columns: Columns) -> Result<Self, Fault> {
        check_versions(&group.integers("schema_version")?)?;
        let request = group.group("request", "request.")?.map(Requests::of).transpose()?;
        if request.is_none() && columns.request && columns.content == Content::Calls {
            let reason = "column `request` is missing: every record has one".to_owned();
            return Err(Fault { row: 0, reason });
        }
        Ok(Self {
            first,
            content: columns.content,
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
    pub(crate) fn len(&self) -> usize {
        self.id.len()
    }

    /// A row, from 0.
    pub(crate) fn row(&self, row: usize) -> Option<Row<'_>> {
        (row < self.len()).then_some(Row { batch: self, row })
    }
}

fn check_versions(versions: &Int64Array) -> Result<(), Fault> {
    let known = i64::from(line::SCHEMA_VERSION);
    match versions.values().iter().position(|version| *version != known) {
        Some(row) => Err(Fault { row, reason: line::unknown_version(versions.value(row)) }),
        None => Ok(()),
    }
}

/// A row of a batch.
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
        self.try_record().map_err(|reason| Error::Record { place: self.place(), reason })
    }

    fn try_record(self) -> Result<Record, String> {
        let request = match self.request() {
            Some(request) => request.request()?,
            None if self.batch.content == Content::Answers => Request::default(),
            None => return Err("`request` is null: every record has one".to_owned()),
        };
        let captured_at = Timestamp::from_microsecond(self.batch.captured_at.value(self.row));
        let latency_us = self.latency_us().map(u64::try_from).transpose();
        let answer = match self.answer() {
            Ok(answer) => Ok(answer.answer()?),
            Err(error) => Err(error.to_owned()),
        };
        Ok(Record {
            id: self.id().to_owned(),
            captured_at: captured_at.map_err(|error| format!("`captured_at`: {error}"))?,
            model: self.model().to_owned(),
            client: self.client().map(str::to_owned),
            request,
            reply: Reply {
                answer,
                latency_us: latency_us.map_err(|_| "`latency_us` is out of range")?,
            },
            unknown: self.unknown()?,
        })
    }

    fn unknown(self) -> Result<Map<String, Value>, String> {
        match optional(self.batch.unknown.as_ref(), self.row) {
            Some(text) => serde_json::from_str(text)
                .map_err(|error| format!("`unknown` is not the text of a JSON object: {error}")),
            None => Ok(Map::new()),
        }
    }
}
