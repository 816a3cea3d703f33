//! The files that records are written to: begun anew by size and time, complete but for the last.
//!
//! A file is written as JSON lines whatever it will be, so that whoever is killed loses no line that
//! was written; Parquet is made of it once it is complete.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::convert::Finisher;
use super::metrics::{Lost, Metrics};
use super::segment::{self, Segment};
use crate::error::Error;
use crate::record::{INCOMPLETE, Record, line};

/// How much is gathered before it is written, if it isn't time anyway.
const BUFFER_BYTES: usize = 1 << 20;
/// How often lost records are told of at most.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

/// What complete files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// JSON lines.
    Jsonl,
    /// Parquet, compressed by zstd.
    Parquet,
}

/// When a new file begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    /// At this size.
    pub(super) bytes: u64,
    /// At this age.
    pub(super) every: Duration,
}

/// Writes records to the files of a folder, and loses some rather than to fail.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    rotation: Rotation,
    finisher: Finisher,
    segment: Option<Segment>,
    gathered: Vec<u8>,
    gathered_records: u64,
    metrics: Arc<Metrics>,
    complaint: Complaint,
}

impl Journal {
    /// Begins, and completes what earlier captures left of their files in the folder.
    ///
    /// # Errors
    /// When the folder can't be written to; later, that only loses records.
    pub(super) fn open(
        folder: PathBuf,
        format: Format,
        rotation: Rotation,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let finisher = Finisher::start(format);
        let leftovers = segment::leftovers(&folder).map_err(Error::file(&folder))?;
        leftovers.into_iter().for_each(|segment| finisher.finish(segment));
        let segment = Some(Segment::create(&folder).map_err(Error::file(&folder))?);
        let (gathered, complaint) = (Vec::new(), Complaint::default());
        Ok(Self {
            folder,
            rotation,
            finisher,
            segment,
            gathered,
            gathered_records: 0,
            metrics,
            complaint,
        })
    }

    /// Gathers a record.
    pub(super) fn write(&mut self, record: &Record) {
        append(record, &mut self.gathered);
        self.gathered_records += 1;
        if self.gathered.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Counts a call that is not to be recorded.
    pub(super) fn skip(&self) {
        self.metrics.skip();
    }

    /// Writes what was gathered, and begins a new file if it is time.
    pub(super) fn flush(&mut self) {
        if self.gathered_records > 0 {
            let (kept, written) = self.append();
            let records =
                self.gathered[..kept].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.metrics.capture(records, kept as u64);
            if let Err(error) = written {
                self.metrics.lose(Lost::Disk, self.gathered_records - records);
                self.complaint.reason = format!("`{}`: {error}", self.folder.display());
            }
            (self.gathered, self.gathered_records) = (Vec::new(), 0);
        }
        self.rotate();
        self.complaint.tell(self.metrics.lost());
    }

    fn append(&mut self) -> (usize, io::Result<()>) {
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => match Segment::create(&self.folder) {
                Ok(segment) => none.insert(segment),
                Err(error) => return (0, Err(error)),
            },
        };
        segment.append(&self.gathered)
    }

    fn rotate(&mut self) {
        let Rotation { bytes, every } = self.rotation;
        let is_due = |segment: &mut Segment| {
            segment.is_broken() || segment.length() >= bytes || segment.is_older_than(every)
        };
        if let Some(segment) = self.segment.take_if(is_due) {
            self.finisher.finish(segment);
        }
    }

    /// Completes the last file, and waits until all are what they are to be.
    pub(super) fn finish(mut self) {
        self.flush();
        if let Some(segment) = self.segment.take() {
            self.finisher.finish(segment);
        }
        self.finisher.wait();
    }
}

/// Appends the line of a record: without the bodies, where it could not be read again with them.
fn append(record: &Record, lines: &mut Vec<u8>) {
    let start = lines.len();
    line::write(record, lines);
    if lines.len() - start <= line::MAX_BYTES {
        return;
    }
    lines.truncate(start);
    let mut record = record.clone();
    record.request.body = Bytes::new();
    record.reply.answer = Err(format!("the call is longer than {} bytes", line::MAX_BYTES));
    record.unknown.insert(INCOMPLETE.to_owned(), true.into());
    line::write(&record, lines);
}

/// Tells of lost records now and then.
#[derive(Debug, Default)]
struct Complaint {
    told: Option<Instant>,
    told_of: u64,
    reason: String,
}

impl Complaint {
    fn tell(&mut self, lost: u64) {
        if lost == self.told_of || self.told.is_some_and(|it| it.elapsed() < COMPLAINT_EVERY) {
            return;
        }
        (self.told, self.told_of) = (Some(Instant::now()), lost);
        let reason = match self.reason.as_str() {
            "" => "more came than could be written",
            reason => reason,
        };
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr(), "capture: {lost} records lost so far: {reason}");
        self.reason.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::line::{Content, parse};

    #[test]
    fn a_call_too_long_to_be_read_again_is_recorded_without_its_bodies() {
        let mut record = crate::tally::tests::record("1", "spam", "a", "x");
        let mut lines = Vec::new();
        append(&record, &mut lines);
        assert!(parse(&lines, Content::Calls).unwrap() == record);
        record.request.body = vec![0xff; 50 << 20].into();
        lines.clear();
        append(&record, &mut lines);
        let read = parse(&lines, Content::Calls).unwrap();
        assert!(read.is_incomplete() && read.request.body.is_empty());
        assert_eq!(read.reply.answer, Err("the call is longer than 67108864 bytes".to_owned()));
    }
}
