//! Calls as they are read: what is plain in a batch stays in its columns until somebody needs the
//! record, which for equal answers nobody does.

use super::parquet::ColumnRow;
use super::{Fingerprint, Numbered, Place, Reply, Request};
use crate::error::Error;

/// A call that was read.
#[derive(Debug)]
pub(crate) enum Row {
    /// In the columns of a batch: a whole record with an answer and without unknown fields.
    Columns {
        /// How many records stand before it.
        sequence: u64,
        /// What was sent, told from other requests, where that was read.
        request: Option<Fingerprint>,
        /// Where it is.
        row: ColumnRow,
    },
    /// By itself.
    Record(Box<Numbered>),
}

/// What two answers have to agree in to be equal, but for their headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered<'a> {
    /// The HTTP status.
    status: u16,
    /// The `Content-Type` header, where there was one.
    content_type: Option<&'a str>,
    /// The body, verbatim.
    body: &'a [u8],
}

impl Row {
    /// How many records stand before it.
    pub(crate) fn sequence(&self) -> u64 {
        match self {
            Self::Columns { sequence, .. } => *sequence,
            Self::Record(numbered) => numbered.sequence,
        }
    }

    /// Its file and line.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Columns { row, .. } => row.at().place(),
            Self::Record(numbered) => numbered.place.clone(),
        }
    }

    /// Names the call in reports.
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Columns { row, .. } => row.at().id(),
            Self::Record(numbered) => &numbered.record.id,
        }
    }

    /// The model that was called.
    pub(crate) fn model(&self) -> &str {
        match self {
            Self::Columns { row, .. } => row.at().model(),
            Self::Record(numbered) => &numbered.record.model,
        }
    }

    /// On whose behalf, where that is known.
    pub(crate) fn client(&self) -> Option<&str> {
        match self {
            Self::Columns { row, .. } => row.at().client(),
            Self::Record(numbered) => numbered.record.client.as_deref(),
        }
    }

    /// What was sent, told from other requests.
    pub(crate) fn request(&self) -> Fingerprint {
        match self {
            Self::Columns { request: Some(request), .. } => *request,
            Self::Columns { request: None, row, .. } => {
                Fingerprint::of(row.at().model(), &Request::default())
            }
            Self::Record(numbered) => {
                Fingerprint::of(&numbered.record.model, &numbered.record.request)
            }
        }
    }

    /// The answer, where there is one.
    pub(crate) fn answered(&self) -> Option<Answered<'_>> {
        match self {
            Self::Columns { row, .. } => {
                let answer = row.at().answer().ok()?;
                let (status, content_type) = (answer.status, answer.content_type);
                Some(Answered { status, content_type, body: answer.body.written })
            }
            Self::Record(numbered) => {
                let answer = numbered.record.reply.answer.as_ref().ok()?;
                let content_type = answer.content_type.as_deref();
                Some(Answered { status: answer.status, content_type, body: &answer.body })
            }
        }
    }

    /// Whether it can't be judged, as it was not recorded whole.
    pub(crate) fn is_incomplete(&self) -> bool {
        matches!(self, Self::Record(numbered) if numbered.record.is_incomplete())
    }

    /// Whether it is in a suite for what it is like, and not at random.
    pub(crate) fn is_chosen(&self) -> bool {
        matches!(self, Self::Record(numbered) if numbered.record.is_chosen())
    }

    /// About how much memory it keeps from being used otherwise.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Columns { row, .. } => row.at().bytes(),
            Self::Record(numbered) => numbered.bytes(),
        }
    }

    /// The record.
    ///
    /// # Errors
    /// When there is none in the row.
    pub(crate) fn numbered(self) -> Result<Box<Numbered>, Error> {
        match self {
            Self::Columns { sequence, row, .. } => {
                let (place, record) = (row.at().place(), row.at().record()?);
                Ok(Box::new(Numbered { sequence, place, record }))
            }
            Self::Record(numbered) => Ok(numbered),
        }
    }

    /// What came back.
    ///
    /// # Errors
    /// When there is no record in the row.
    pub(crate) fn reply(self) -> Result<Reply, Error> {
        match self {
            Self::Columns { row, .. } => row.at().reply(),
            Self::Record(numbered) => Ok(numbered.record.reply),
        }
    }
}

impl Numbered {
    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        600 + self.record.bytes()
    }
}
