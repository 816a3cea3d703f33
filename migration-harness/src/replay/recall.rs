//! Records beside the answers that an earlier run has had for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::answers::{Line, Lines, Outcome};
use super::noise::Noise;
use super::part::Part;
use crate::error::Error;
use crate::record::{Numbered, Place, Reply, Source};

/// A record with all that was captured of it.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    /// The record.
    pub(crate) numbered: Numbered,
    /// What the legacy system replied when it was asked once more.
    pub(crate) noise: Option<Reply>,
}

/// The records in their order, each with its noise.
#[derive(Debug)]
pub(crate) struct Reading {
    source: Source,
    noise: Option<Noise>,
    part: Option<Part>,
    incomplete: Arc<AtomicU64>,
}

impl Reading {
    /// Reads both side by side.
    pub(super) fn new(source: Source, noise: Option<Noise>, part: Option<Part>) -> Self {
        Self { source, noise, part, incomplete: Arc::default() }
    }

    /// How many records of incomplete calls were passed over, now and as it reads on.
    pub(super) fn incomplete(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.incomplete)
    }

    /// The next record that is to be replayed.
    fn next_record(&mut self) -> Option<Result<Numbered, Error>> {
        let Self { source, part, incomplete, .. } = self;
        source.find(|next| {
            let Ok(numbered) = next else { return true };
            let is_of_part = part.as_ref().is_none_or(|part| part.takes(numbered));
            let is_incomplete = numbered.record.is_incomplete();
            incomplete.fetch_add(u64::from(is_of_part && is_incomplete), Relaxed);
            is_of_part && !is_incomplete
        })
    }

    fn read(&mut self, numbered: Numbered) -> Result<Captured, Error> {
        let noise = self.noise.as_mut().map(|noise| noise.of(&numbered)).transpose()?.flatten();
        Ok(Captured { numbered, noise })
    }
}

impl Iterator for Reading {
    type Item = Result<Captured, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let numbered = self.next_record()?;
        Some(numbered.and_then(|numbered| self.read(numbered)))
    }
}

/// Answers in their order, each with its record.
///
/// Records that the answers pass over are kept. These are the calls that were under way when some
/// later one was answered, so they are few however many records there are.
#[derive(Debug)]
pub(crate) struct Recall {
    reading: Reading,
    lines: Lines,
    passed_over: BTreeMap<u64, Captured>,
    /// No record before this one is left to be read.
    next: u64,
}

impl Recall {
    /// Reads records and answers from their beginning.
    pub(crate) fn new(reading: Reading, lines: Lines) -> Self {
        Self { reading, lines, passed_over: BTreeMap::new(), next: 0 }
    }

    /// The records that were not answered, once all answers have been read: those passed over, and
    /// then the rest.
    pub(crate) fn unanswered(self) -> impl Iterator<Item = Result<Captured, Error>> + Send {
        self.passed_over.into_values().map(Ok).chain(self.reading)
    }

    fn read(&mut self, line: Line) -> Result<(Captured, Outcome), Error> {
        while self.next <= line.sequence {
            let Some(captured) = self.reading.next().transpose()? else { break };
            self.next = captured.numbered.sequence + 1;
            self.passed_over.insert(captured.numbered.sequence, captured);
        }
        match self.passed_over.remove(&line.sequence) {
            Some(captured) if captured.numbered.record.id == line.id => {
                Ok((captured, line.outcome))
            }
            _ => Err(foreign(line.place, &line.id)),
        }
    }
}

fn foreign(place: Place, id: &str) -> Error {
    let reason = format!(
        "answers `{id}`, which is not among the records, or twice; begin anew with `--fresh`"
    );
    Error::Record { place, reason }
}

impl Iterator for Recall {
    type Item = Result<(Captured, Outcome), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        Some(line.and_then(|line| self.read(line)))
    }
}
