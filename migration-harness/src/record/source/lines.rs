//! The lines of a file, each as a record.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;

use super::files::PARTIAL;
use super::{Form, Place};
use crate::error::Error;
use crate::record::Record;
use crate::record::line::{self, Content, MAX_BYTES};

/// How much is read from the disk at a time.
const BUFFER_BYTES: usize = 256 << 10;
/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The records of one file of lines.
#[derive(Debug)]
pub(super) struct Lines {
    input: Input,
    place: Place,
    text: Vec<u8>,
    content: Content,
    /// Whether a last line without its end is what a broken capture left, and no fault.
    may_be_cut_off: bool,
}

#[derive(Debug)]
enum Input {
    Plain(BufReader<File>),
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<File>>>>),
}

impl Input {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(reader) => reader,
            Self::Gzip(reader) => reader,
        }
    }
}

impl Lines {
    /// Opens a file, compressed or not.
    pub(super) fn open(path: PathBuf, form: Form, content: Content) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::file(&path))?;
        let reader = BufReader::with_capacity(BUFFER_BYTES, file);
        let input = match form {
            Form::Gzip => {
                let reader = MultiGzDecoder::new(reader);
                Input::Gzip(Box::new(BufReader::with_capacity(BUFFER_BYTES, reader)))
            }
            _ => Input::Plain(reader),
        };
        let may_be_cut_off = path.extension().is_some_and(|extension| extension == PARTIAL);
        let place = Place { path: path.into(), line: 0 };
        Ok(Self { input, place, text: Vec::new(), content, may_be_cut_off })
    }

    /// The next record and where it stands, if there is one.
    pub(super) fn read(&mut self) -> Result<Option<(Place, Record)>, Error> {
        if !self.read_line()? {
            return Ok(None);
        }
        match line::parse(self.text.trim_ascii_end(), self.content) {
            Ok(record) => Ok(Some((self.place.clone(), record))),
            Err(reason) => Err(self.fault(reason)),
        }
    }

    /// The next line that is not blank into `text`; whether there is one.
    fn read_line(&mut self) -> Result<bool, Error> {
        self.text.clear();
        while self.text.trim_ascii().is_empty() {
            self.text.clear();
            self.place.line += 1;
            let mut line = self.input.reader().take(MAX_BYTES as u64 + 1);
            match line.read_until(b'\n', &mut self.text) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(self.unreadable(error)),
            }
            // First of all: what comes behind a line that is too long must not pass for nothing.
            if self.text.len() > MAX_BYTES {
                return Err(self.fault(format!(
                    "the line is longer than {MAX_BYTES} bytes, more than a record may be; is this \
                     a file of JSON lines?"
                )));
            }
            if self.may_be_cut_off && !self.text.ends_with(b"\n") {
                return Ok(false);
            }
            if self.place.line == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
                self.text.drain(..BYTE_ORDER_MARK.len());
            }
        }
        Ok(true)
    }

    /// What is wrong with compressed bytes is a fault of the records, not of the disk.
    fn unreadable(&self, error: std::io::Error) -> Error {
        let damage = match error.kind() {
            ErrorKind::UnexpectedEof => "ends too early",
            ErrorKind::InvalidData | ErrorKind::InvalidInput => "is damaged",
            _ => return Error::file(&self.place.path)(error),
        };
        self.fault(format!("the compressed data {damage} ({error}): copy or compress it again"))
    }

    fn fault(&self, reason: String) -> Error {
        Error::Record { place: self.place.clone(), reason }
    }
}
