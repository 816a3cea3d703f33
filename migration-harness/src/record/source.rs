//! Reads the records of files, one after the other, in whatever form each file is.

mod files;
mod form;
mod lines;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::Content;
use super::parquet::{ColumnRow, Rows};
use super::{Record, Row};
use crate::error::Error;

pub(super) use files::PARTIAL;
pub(crate) use files::files;
pub(crate) use form::Form;
use lines::Lines;

/// A record and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    /// How many records stand before it.
    pub(crate) sequence: u64,
    /// Its file and line.
    pub(crate) place: Place,
    /// The call.
    pub(crate) record: Record,
}

/// Where a record stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file, which all of its records share.
    pub(crate) path: Arc<Path>,
    /// The line or row, from 1.
    pub(crate) line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// The records of a file, or of all files below a folder in the order of their names; an iterator
/// that ends in an error at the first line or row that is no record. Blank lines are passed over.
#[derive(Debug)]
pub(crate) struct Source {
    content: Content,
    files: std::vec::IntoIter<PathBuf>,
    open: Option<Open>,
    sequence: u64,
}

#[derive(Debug)]
enum Open {
    Lines(Box<Lines>),
    Rows(Box<Rows>),
}

/// The next call of a file.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Found {
    Record { place: Place, record: Record },
    Row(ColumnRow),
}

impl Source {
    /// Opens captured calls: JSON lines, also compressed by gzip, Parquet, or a folder of these. What
    /// a file is, its first bytes say.
    ///
    /// # Errors
    /// When nothing is there, or the first file can't be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::of(path, Content::Calls)
    }

    /// Opens answers, whose records need not say what was sent, as `answers.jsonl` of a replay; nor
    /// is that read where it stands in columns of its own.
    ///
    /// # Errors
    /// As for calls.
    pub(crate) fn answers(path: &Path) -> Result<Self, Error> {
        Self::of(path, Content::Answers)
    }

    fn of(path: &Path, content: Content) -> Result<Self, Error> {
        let files = files(path)?.into_iter();
        let mut source = Self { content, files, open: None, sequence: 0 };
        source.open_next()?;
        Ok(source)
    }

    /// The calls, of which those that are plain stay in the columns of their batches.
    pub(crate) fn rows(mut self) -> impl Iterator<Item = Result<Row, Error>> {
        std::iter::from_fn(move || self.next_as(Found::row))
    }

    /// The next call in some form; after an error there is nothing more.
    fn next_as<T>(
        &mut self,
        form: impl FnOnce(Found, u64) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let found = self.read().transpose()?;
        let next = found.and_then(|found| form(found, self.sequence));
        match &next {
            Ok(_) => self.sequence += 1,
            Err(_) => self.open = None,
        }
        Some(next)
    }

    fn read(&mut self) -> Result<Option<Found>, Error> {
        while let Some(open) = &mut self.open {
            if let Some(found) = open.read()? {
                return Ok(Some(found));
            }
            self.open_next()?;
        }
        Ok(None)
    }

    fn open_next(&mut self) -> Result<(), Error> {
        self.open = match self.files.next() {
            Some(path) => Some(Open::file(path, self.content)?),
            None => None,
        };
        Ok(())
    }
}

impl Open {
    fn file(path: PathBuf, content: Content) -> Result<Self, Error> {
        Ok(match Form::of(&path)? {
            Form::Parquet => Self::Rows(Box::new(Rows::open(path, content)?)),
            form => Self::Lines(Box::new(Lines::open(path, form, content)?)),
        })
    }

    fn read(&mut self) -> Result<Option<Found>, Error> {
        Ok(match self {
            Self::Lines(lines) => {
                lines.read()?.map(|(place, record)| Found::Record { place, record })
            }
            Self::Rows(rows) => rows.read()?.map(Found::Row),
        })
    }
}

impl Found {
    fn row(self, sequence: u64) -> Result<Row, Error> {
        match self {
            Self::Row(row) if row.at().is_plain() => {
                Ok(Row::Columns { sequence, request: row.at().fingerprint(), row })
            }
            _ => Ok(Row::Record(Box::new(self.numbered(sequence)?))),
        }
    }

    fn numbered(self, sequence: u64) -> Result<Numbered, Error> {
        let (place, record) = match self {
            Self::Record { place, record } => (place, record),
            Self::Row(row) => (row.at().place(), row.at().record()?),
        };
        Ok(Numbered { sequence, place, record })
    }
}

impl Iterator for Source {
    type Item = Result<Numbered, Error>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_as(Found::numbered)
    }
}

#[cfg(test)]
mod tests;
