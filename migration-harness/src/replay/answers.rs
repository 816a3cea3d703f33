//! `answers.jsonl`: what the target replied, a line for each record, in the order of the replies.
//!
//! It is the checkpoint of a replay and the side of a later comparison. A line has the form of a
//! record without its request.

mod write;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::Error;
use crate::record::line::WrittenAnswer;
use crate::record::{Place, Record, Reply};
use write::Writer;

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
    file: File,
    writer: Writer,
    /// The lines that the file doesn't have yet.
    lines: Vec<u8>,
    synced: Instant,
    is_dirty: bool,
}

impl Log {
    /// Goes on at the file's present position.
    pub(crate) fn new(path: PathBuf, file: File) -> Self {
        let (writer, lines) = (Writer::default(), Vec::with_capacity(2 * BUFFER_BYTES));
        Self { path, file, writer, lines, synced: Instant::now(), is_dirty: false }
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
        self.writer.write(sequence, record, outcome, &mut self.lines);
        if self.lines.len() < BUFFER_BYTES { Ok(()) } else { self.hand_over() }
    }

    /// Hands the lines to the system, which survives this process, and now and then to the disk.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.hand_over()?;
        if self.is_dirty && self.synced.elapsed() >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    /// Puts all lines on disk.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.hand_over()?;
        self.file.sync_data().map_err(Error::file(&self.path))?;
        (self.synced, self.is_dirty) = (Instant::now(), false);
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Error> {
        let written = self.file.write_all(&self.lines);
        // Where it failed, too: no half of a line may get the whole of it behind it.
        self.lines.clear();
        // One long answer leaves no more room behind than there was.
        self.lines.shrink_to(2 * BUFFER_BYTES);
        written.map_err(Error::file(&self.path))
    }
}

/// What was answered is not asked again, whatever ended the replay.
impl Drop for Log {
    fn drop(&mut self) {
        // Nobody is left to be told, and what is not written is only asked again.
        let _ = self.hand_over();
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
        Some(answer) => Ok(answer.answer()?),
        None => Err(error.ok_or("neither `response` nor `error`")?.into_owned()),
    };
    let reply = Reply { answer, latency_us };
    Ok((sequence, id.into_owned(), Outcome { reply, sent_at, lateness_us }))
}

#[derive(Deserialize)]
struct Form<'a> {
    #[expect(dead_code, reason = "a line without it is none")]
    schema_version: u32,
    sequence: u64,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[expect(dead_code, reason = "a line without it is none")]
    captured_at: Timestamp,
    #[expect(dead_code, reason = "a line without it is none")]
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<WrittenAnswer<'a>>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
    latency_us: Option<u64>,
    sent_at: Timestamp,
    lateness_us: u64,
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;
    use crate::record::Answer;
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
    fn a_log_that_is_let_go_of_leaves_all_of_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut log = Log::new(path.clone(), File::create(&path).unwrap());
        log.append(0, &record("1", "spam", "a", "x"), &answered(b"1")).unwrap();
        drop(log);
        assert_eq!(Lines::open(&path).unwrap().map(Result::unwrap).count(), 1);
    }

    #[test]
    fn a_long_answer_of_escapes_is_written_no_longer_than_a_record_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let body = &[1; (1 << 20) + 1];
        let mut log = Log::new(path.clone(), File::create(&path).unwrap());
        log.append(0, &record("1", "spam", "a", "x"), &answered(body)).unwrap();
        drop(log);
        assert!(std::fs::metadata(&path).unwrap().len() < 2 << 20, "six bytes for each of its own");
        let line = Lines::open(&path).unwrap().next().unwrap().unwrap();
        assert_eq!(line.outcome.reply.answer.unwrap().body, &body[..]);
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
