//! Requests and answers of a batch.

use arrow_array::{Int64Array, StringArray};

use super::body::Body;
use super::column::{Bytes, Fault, Group, Headers, optional};
use crate::record::fingerprint::{Fingerprint, Parts};
use crate::record::{Answer, Request};

/// The requests of a batch.
#[derive(Debug)]
pub(super) struct Requests {
    method: StringArray,
    path: StringArray,
    content: Contents,
}

/// The answers of a batch.
#[derive(Debug)]
pub(super) struct Answers {
    status: Int64Array,
    content: Contents,
}

#[derive(Debug)]
struct Contents {
    group: Group,
    content_type: Option<StringArray>,
    headers: Headers,
    body: Bytes,
    encoding: Option<StringArray>,
}

/// A request as its columns have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestRow<'a> {
    /// The HTTP method.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<&'a str>,
    /// The body.
    pub(crate) body: Body<'a>,
    headers: &'a Headers,
    row: usize,
}

/// An answer as its columns have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerRow<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<&'a str>,
    /// The body.
    pub(crate) body: Body<'a>,
    headers: &'a Headers,
    row: usize,
}

impl Requests {
    pub(super) fn of(group: Group) -> Result<Self, Fault> {
        let (method, path) = (group.text("method")?, group.text("path")?);
        Ok(Self { method, path, content: Contents::of(group)? })
    }

    /// The request of a row that has one.
    pub(super) fn at(&self, row: usize) -> Option<RequestRow<'_>> {
        let content = self.content.at(row)?;
        Some(RequestRow {
            method: self.method.value(row),
            path: self.path.value(row),
            content_type: optional(content.content_type.as_ref(), row),
            body: content.body(row),
            headers: &content.headers,
            row,
        })
    }
}

impl Answers {
    pub(super) fn of(group: Group) -> Result<Self, Fault> {
        let status = group.integers("status")?;
        for (row, status) in status.iter().enumerate().filter(|(row, _)| group.is_valid(*row)) {
            if status.and_then(|status| u16::try_from(status).ok()).is_none() {
                let reason = "`response.status` is no HTTP status".to_owned();
                return Err(Fault { row, reason });
            }
        }
        Ok(Self { status, content: Contents::of(group)? })
    }

    /// The answer of a row that has one.
    pub(super) fn at(&self, row: usize) -> Option<AnswerRow<'_>> {
        let content = self.content.at(row)?;
        Some(AnswerRow {
            status: u16::try_from(self.status.value(row)).unwrap_or_default(),
            content_type: optional(content.content_type.as_ref(), row),
            body: content.body(row),
            headers: &content.headers,
            row,
        })
    }
}

impl Contents {
    fn of(group: Group) -> Result<Self, Fault> {
        Ok(Self {
            content_type: group.optional_text("content_type")?,
            headers: group.headers()?,
            body: group.bytes("body")?,
            encoding: group.optional_text("encoding")?,
            group,
        })
    }

    fn at(&self, row: usize) -> Option<&Self> {
        self.group.is_valid(row).then_some(self)
    }

    fn body(&self, row: usize) -> Body<'_> {
        Body { written: self.body.at(row), encoding: optional(self.encoding.as_ref(), row) }
    }
}

impl RequestRow<'_> {
    /// Tells it from other requests to the model, where its body is verbatim.
    pub(super) fn fingerprint(self, model: &str) -> Fingerprint {
        let Self { method, path, content_type, body, .. } = self;
        let (headers, body) = (&self.headers.at(self.row), body.written);
        Fingerprint::of_parts(model, Parts { method, path, content_type, headers, body })
    }

    /// The request by itself.
    pub(super) fn request(self) -> Result<Request, String> {
        Ok(Request {
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            content_type: self.content_type.map(str::to_owned),
            headers: self.headers.at(self.row),
            body: self.body.bytes()?.into_owned().into(),
        })
    }
}

impl AnswerRow<'_> {
    /// The answer by itself.
    pub(super) fn answer(self) -> Result<Answer, String> {
        Ok(Answer {
            status: self.status,
            content_type: self.content_type.map(str::to_owned),
            headers: self.headers.at(self.row),
            body: self.body.bytes()?.into_owned().into(),
        })
    }
}
