//! Takes what the files hold: makes records of calls, writes and audits them, and counts the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::audit::Audit;
use super::call::{Found, Stray};
use super::format::Format;
use super::input;
use super::settle::{self, Terms};
use crate::error::Error;
use crate::record::{Place, Record, Sink};

/// So many bad places are listed.
const LISTED: usize = 20;
/// The bodies of a record may not be longer together: its line would be too long to read.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Takes what the files hold.
pub(super) struct Intake {
    /// What the user has said about all calls.
    pub(super) terms: Terms,
    /// Whether what is no call is passed over.
    pub(super) skip_bad: bool,
    /// Where records go.
    pub(super) sink: Sink,
    /// What looks at them.
    pub(super) audit: Audit,
    /// What else was found.
    pub(super) reading: Reading,
}

/// What was found besides records.
#[derive(Debug, Default, Serialize)]
pub(super) struct Reading {
    /// How many files there were of each format.
    pub(super) files: BTreeMap<&'static str, u64>,
    /// How many lines, rows and entries are no calls.
    pub(super) bad: u64,
    /// How many files end before their end; nobody knows how many calls that are.
    pub(super) unread_rests: u64,
    /// The first of all these.
    pub(super) first_bad: Vec<Bad>,
    /// How many calls had no id; theirs tell file and place.
    pub(super) without_id: u64,
    /// How many calls had no time; theirs is 1970.
    pub(super) without_time: u64,
    /// How many responses had no request.
    pub(super) responses_without_request: u64,
    /// How many responses were to replayed requests.
    pub(super) replayed_responses: u64,
}

/// Something that is no call.
#[derive(Debug, Serialize)]
pub(super) struct Bad {
    /// Its file and line.
    pub(super) place: String,
    /// What is wrong with it.
    pub(super) reason: String,
}

/// The file that is being read.
pub(super) struct Current {
    path: PathBuf,
    digest: Option<[u8; 32]>,
}

impl Current {
    /// A file.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), digest: None }
    }

    /// The digest is made once it is needed.
    fn digest(&mut self) -> Result<&[u8; 32], Error> {
        let digest = match self.digest {
            Some(digest) => digest,
            None => input::digest(&self.path)?,
        };
        Ok(self.digest.insert(digest))
    }
}

impl Intake {
    /// Takes what stands in a line of a file.
    ///
    /// # Errors
    /// When it is no call and must not be passed over, or a record can't be written.
    pub(super) fn take(
        &mut self,
        file: &mut Current,
        line: u64,
        found: Found,
    ) -> Result<(), Error> {
        let record = match found {
            Found::Call(call) => {
                self.reading.without_time += u64::from(call.captured_at.is_none());
                self.terms.record(*call)
            }
            Found::Record(record) => self.terms.adopt(*record),
            Found::Bad(reason) => Err(reason),
            Found::Rest(reason) => {
                self.reading.unread_rests += 1;
                return self.pass_over(Place { path: file.path.as_path().into(), line }, reason);
            }
            Found::Stray(stray) => {
                self.reading.count(stray);
                return Ok(());
            }
        };
        match record.and_then(check_size) {
            Ok(record) => self.keep(file, line, record),
            Err(reason) => {
                self.reading.bad += 1;
                self.pass_over(Place { path: file.path.as_path().into(), line }, reason)
            }
        }
    }

    /// Counts a file of a format.
    pub(super) fn begin(&mut self, format: Format) {
        *self.reading.files.entry(format.name()).or_default() += 1;
    }

    fn keep(&mut self, file: &mut Current, line: u64, mut record: Record) -> Result<(), Error> {
        if record.id.is_empty() {
            self.reading.without_id += 1;
            record.id = settle::id(file.digest()?, line, record.captured_at);
        }
        self.audit.add(&record)?;
        self.sink.write(&record)
    }

    fn pass_over(&mut self, place: Place, reason: String) -> Result<(), Error> {
        if !self.skip_bad {
            return Err(Error::Record { place, reason });
        }
        if self.reading.first_bad.len() < LISTED {
            self.reading.first_bad.push(Bad { place: place.to_string(), reason });
        }
        Ok(())
    }
}

impl Reading {
    fn count(&mut self, stray: Stray) {
        match stray {
            Stray::Unrequested => self.responses_without_request += 1,
            Stray::Replayed => self.replayed_responses += 1,
        }
    }

    /// What the user should know about the formats and what is missing in them.
    pub(super) fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if self.files.contains_key(Format::DataCapture.name()) {
            hints.push(
                "SageMaker Data Capture samples as the endpoint is configured, stops while the \
                 disk is nearly full, and keeps no status (200 is put), latency or client"
                    .to_owned(),
            );
        }
        let counted = [
            (self.without_time, "calls have no time, 1970-01-01 is put: don't replay their timing"),
            (self.without_id, "calls have no id: theirs are made of their file's digest and place"),
            (self.responses_without_request, "responses have no request: packets may be lost"),
            (self.replayed_responses, "responses to replayed requests are left out"),
            (self.bad, "lines, rows or entries could not be read and are left out"),
            (
                self.unread_rests,
                "files could not be read to their end: any number of calls may lack",
            ),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        hints.extend(counted.map(|(count, what)| format!("{count} {what}")));
        hints
    }
}

fn check_size(record: Record) -> Result<Record, String> {
    let answer = record.reply.answer.as_ref().map_or(0, |answer| answer.body.len());
    if record.request.body.len() + answer > MAX_BODY_BYTES {
        return Err(format!("the bodies are longer than {MAX_BODY_BYTES} bytes together"));
    }
    Ok(record)
}
