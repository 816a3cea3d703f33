//! Reads the records of files, one after the other, in whatever form each file is.

mod files;
mod form;
mod lines;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Record;
use super::line::Content;
use super::parquet::{Batches, Columns, Rows};
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

impl Source {
    /// Opens captured calls: JSON lines, also compressed by gzip, Parquet, or a folder of these. What
    /// a file is, its first bytes say.
    ///
    /// # Errors
    /// When nothing is there, or the first file can't be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::of(path, Content::Calls)
    }

    /// Opens answers, whose records need not say what was sent, as `answers.jsonl` of a replay.
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

    fn read(&mut self) -> Result<Option<Numbered>, Error> {
        while let Some(open) = &mut self.open {
            let next = match open {
                Open::Lines(lines) => lines.read()?,
                Open::Rows(rows) => rows.read()?,
            };
            if let Some((place, record)) = next {
                let sequence = self.sequence;
                self.sequence += 1;
                return Ok(Some(Numbered { sequence, place, record }));
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
            Form::Parquet => {
                let batches = Batches::of_files(vec![path], Columns::all(content));
                Self::Rows(Box::new(Rows::of(batches)))
            }
            form => Self::Lines(Box::new(Lines::open(path, form, content)?)),
        })
    }
}

impl Iterator for Source {
    type Item = Result<Numbered, Error>;

    /// After an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read();
        if next.is_err() {
            self.open = None;
        }
        next.transpose()
    }
}

#[cfg(test)]
mod tests;
