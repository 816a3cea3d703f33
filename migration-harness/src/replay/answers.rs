//! `answers.jsonl`: what the target replied, a line for each record, in the order of the replies.
//!
//! It is the checkpoint of a replay and the side of a later comparison. A line has the form of a
//! record without its request.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::record::{Answer, Place, Record, Reply};

/// The file in the folder of a replay.
pub(crate) const FILE: &str = "answers.jsonl";
/// The longest line that is read: the longest answer, in base64 or escaped, and some more.
const MAX_LINE_BYTES: u64 = 512 << 20;
/// How long lines may wait for the disk.
const SYNC_EVERY: Duration = Duration::from_millis(500);
const BUFFER_BYTES: usize = 256 << 10;

/// What came of one call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// What the target replied, and how long that took.
    pub(crate) reply: Reply,
    /// When the call was made.
    pub(crate) sent_at: Timestamp,
    /// How much later that was than it should have been.
    pub(crate) lateness_us: u64,
}

/// A line: whose reply it is, and the reply.
#[derive(Debug)]
pub(crate) struct Line {
    /// How many records stand before the one that was sent.
    pub(crate) sequence: u64,
    /// Its name.
    pub(crate) id: String,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// Where the line stands.
    pub(crate) place: Place,
}

/// Appends lines; whole ones reach the disk within a second.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    writer: BufWriter<File>,
    /// The line under way: it is written as a whole, as each small write would cost as much.
    line: Vec<u8>,
    synced: Instant,
    is_dirty: bool,
}

impl Log {
    /// Goes on at the file's present position.
    pub(crate) fn new(path: PathBuf, file: File) -> Self {
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Self { path, writer, line: Vec::new(), synced: Instant::now(), is_dirty: false }
    }

    /// Appends the line of a record.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(crate) fn append(
        &mut self,
        sequence: u64,
        record: &Record,
        outcome: &Outcome,
    ) -> Result<(), Error> {
        self.is_dirty = true;
        self.line.clear();
        let form = Form::of(sequence, record, outcome);
        let written = serde_json::to_writer(&mut self.line, &form).map_err(Into::into);
        self.line.push(b'\n');
        let written = written.and_then(|()| self.writer.write_all(&self.line));
        written.map_err(Error::file(&self.path))
    }

    /// Hands the lines to the system, which survives this process, and now and then to the disk.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(Error::file(&self.path))?;
        if self.is_dirty && self.synced.elapsed() >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    /// Puts all lines on disk.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(Error::file(&self.path))?;
        self.writer.get_ref().sync_data().map_err(Error::file(&self.path))?;
        (self.synced, self.is_dirty) = (Instant::now(), false);
        Ok(())
    }
}

/// The lines of a file, in its order.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<File>,
    place: Place,
    text: Vec<u8>,
}

impl Lines {
    /// Opens a file of answers.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file(path))?;
        let place = Place { path: path.into(), line: 0 };
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, file), place, text: Vec::new() })
    }

    fn read(&mut self) -> Result<Option<Line>, Error> {
        self.text.clear();
        self.place.line += 1;
        let mut line = (&mut self.reader).take(MAX_LINE_BYTES);
        let read = line.read_until(b'\n', &mut self.text).map_err(Error::file(&self.place.path))?;
        if read == 0 {
            return Ok(None);
        }
        let place = self.place.clone();
        match parse(&self.text) {
            Ok((sequence, id, outcome)) => Ok(Some(Line { sequence, id, outcome, place })),
            Err(reason) => Err(Error::Record { place, reason: format!("no answer: {reason}") }),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Line, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// How long a file is up to the end of its last whole line.
///
/// # Errors
/// When it can't be read.
pub(crate) fn whole_lines_bytes(file: &mut File) -> std::io::Result<u64> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let (mut read, mut whole) = (0, 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(whole);
        }
        if let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') {
            whole = read + end as u64 + 1;
        }
        let length = buffer.len();
        read += length as u64;
        reader.consume(length);
    }
}

fn parse(text: &[u8]) -> Result<(u64, String, Outcome), String> {
    let form: Form<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let Form { sequence, id, response, error, latency_us, sent_at, lateness_us, .. } = form;
    let answer = match response {
        Some(answer) => Ok(answer.read()?),
        None => Err(error.ok_or("neither `response` nor `error`")?.into_owned()),
    };
    let reply = Reply { answer, latency_us };
    Ok((sequence, id.into_owned(), Outcome { reply, sent_at, lateness_us }))
}

#[derive(Serialize, Deserialize)]
struct Form<'a> {
    schema_version: u32,
    sequence: u64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    captured_at: Timestamp,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response: Option<WrittenAnswer<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    latency_us: Option<u64>,
    sent_at: Timestamp,
    lateness_us: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenAnswer<'a> {
    status: u16,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    encoding: Encoding,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Utf8,
    Base64,
}

impl<'a> Form<'a> {
    fn of(sequence: u64, record: &'a Record, outcome: &'a Outcome) -> Self {
        let Outcome { reply, sent_at, lateness_us } = outcome;
        let (response, error) = match &reply.answer {
            Ok(answer) => (Some(WrittenAnswer::of(answer)), None),
            Err(reason) => (None, Some(reason.into())),
        };
        Self {
            schema_version: 1,
            sequence,
            id: (&record.id).into(),
            captured_at: record.captured_at,
            model: (&record.model).into(),
            client: record.client.as_ref().map(Into::into),
            response,
            error,
            latency_us: reply.latency_us,
            sent_at: *sent_at,
            lateness_us: *lateness_us,
        }
    }
}

impl<'a> WrittenAnswer<'a> {
    fn of(answer: &'a Answer) -> Self {
        let (body, encoding) = match std::str::from_utf8(&answer.body) {
            Ok(text) => (text.into(), Encoding::Utf8),
            Err(_) => (STANDARD.encode(&answer.body).into(), Encoding::Base64),
        };
        Self {
            status: answer.status,
            content_type: answer.content_type.as_ref().map(Into::into),
            headers: answer.headers.clone(),
            body,
            encoding,
        }
    }

    fn read(self) -> Result<Answer, String> {
        let body = match self.encoding {
            Encoding::Utf8 => self.body.into_owned().into_bytes(),
            Encoding::Base64 => STANDARD
                .decode(self.body.as_bytes())
                .map_err(|error| format!("`body` is not base64: {error}"))?,
        };
        let content_type = self.content_type.map(Cow::into_owned);
        Ok(Answer { status: self.status, content_type, headers: self.headers, body: body.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;
    use crate::tally::tests::record;

    fn answered(body: &'static [u8]) -> Outcome {
        let headers = [("x-a".to_owned(), "\"1\"".to_owned())].into();
        let content_type = Some("text/plain".to_owned());
        let answer = Ok(Answer { status: 200, content_type, headers, body: body.into() });
        outcome(answer)
    }

    fn outcome(answer: Result<Answer, String>) -> Outcome {
        let sent_at = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        Outcome { reply: Reply { answer, latency_us: Some(7) }, sent_at, lateness_us: 3 }
    }

    #[test]
    fn what_is_written_is_read_again_whatever_bytes_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut log = Log::new(path.clone(), File::create(&path).unwrap());
        let refused = outcome(Err("refused \n\"".to_owned()));
        let outcomes = [answered("1 \u{2028}\n\"é\"".as_bytes()), answered(b"\xff\x00"), refused];
        for (sequence, outcome) in (5..).zip(&outcomes) {
            log.append(sequence, &record("i\"d", "spam", "a", "x"), outcome).unwrap();
        }
        log.sync().unwrap();
        let lines: Vec<_> = Lines::open(&path).unwrap().map(Result::unwrap).collect();
        assert!(lines.iter().map(|line| &line.outcome).eq(&outcomes));
        assert!(lines.iter().map(|line| line.sequence).eq(5..8));
        assert!(lines.iter().all(|line| line.id == "i\"d"));
    }

    #[test]
    fn half_a_last_line_does_not_count() {
        for (text, whole) in [("", 0), ("half", 0), ("one\n", 4), ("one\ntwo\nhalf", 8)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            assert_eq!(whole_lines_bytes(&mut file).unwrap(), whole, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_answer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "{}\n").unwrap();
        let error = Lines::open(&path).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("answers.jsonl:1: no answer: missing field"), "{error}");
    }
}
