//! What becomes of records that have the id of another.

use std::path::Path;

use super::audit::{Audit, Repeats};
use crate::error::Error;
use crate::record::{Numbered, Sink, Source};

/// So many ids are named.
const NAMED: usize = 10;

/// What to do about records that have the id of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Duplicates {
    /// Refuse to import them.
    Error,
    /// Keep them.
    Keep,
    /// Keep the first of an id only.
    Drop,
    /// Keep them, and append -2, -3 … to the ids of all but the first.
    Number,
}

impl Duplicates {
    /// Copies the records of a file to a sink, without the repeats or with other ids for them.
    ///
    /// # Errors
    /// When the file can't be read or the sink not be written.
    pub(super) fn copy(
        self,
        records: &Path,
        mut repeats: Repeats,
        sink: &mut Sink,
        audit: &mut Audit,
    ) -> Result<(), Error> {
        let mut next = repeats.next().transpose()?;
        for numbered in Source::open(records)? {
            let Numbered { sequence, mut record, .. } = numbered?;
            if let Some(repeat) = next.filter(|repeat| repeat.number == sequence) {
                next = repeats.next().transpose()?;
                if self == Self::Drop {
                    continue;
                }
                record.id = format!("{}-{}", record.id, repeat.time);
            }
            audit.add(&record)?;
            sink.write(&record)?;
        }
        Ok(())
    }
}

/// The error that names the first ids that come again.
pub(super) fn refusal(records: &Path, repeats: Repeats) -> Result<Error, Error> {
    let count = repeats.count;
    let numbers: Result<Vec<_>, _> = repeats.take(NAMED).collect();
    let numbers = numbers?;
    let mut ids = Vec::new();
    for numbered in Source::open(records)? {
        let Numbered { sequence, record, .. } = numbered?;
        if numbers.iter().any(|repeat| repeat.number == sequence) {
            ids.push(format!("`{}`", record.id));
        }
        if numbers.last().is_none_or(|last| last.number <= sequence) {
            break;
        }
    }
    ids.dedup();
    let ids = ids.join(", ");
    Ok(Error::Data(format!(
        "{count} records have the id of another: {ids}{}; choose what to do by `--duplicates keep`, \
         `drop` or `number`",
        if count > NAMED as u64 { ", …" } else { "" }
    )))
}
