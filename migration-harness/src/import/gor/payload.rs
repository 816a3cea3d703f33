//! Cuts a `.gor` file into its payloads.

use std::io::{BufRead, Read};

use super::http;
use crate::import::call::{Found, MAX_BYTES};
use crate::import::input::unreadable;

/// The line that ends a payload; the line break before it belongs to it.
const SEPARATOR: &[u8] = "🐵🙈🙉".as_bytes();
/// A line is read in pieces that are not longer.
const PIECE_BYTES: u64 = 64 << 10;

/// A message and what its header line says.
#[derive(Debug)]
pub(super) struct Payload {
    /// Where it begins.
    pub(super) line: u64,
    /// What the message is.
    pub(super) kind: Kind,
    /// Names the exchange that it belongs to.
    pub(super) id: String,
    /// When it was seen, in nanoseconds since 1970.
    pub(super) seen_ns: i64,
    /// From the request to the response, where GoReplay has measured it.
    pub(super) latency_ns: Option<i64>,
    /// The message as it went over the wire.
    pub(super) message: Vec<u8>,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request.
    Request,
    /// The response to a request.
    Response,
    /// The response to a replayed request.
    Replayed,
}

/// Something that is no payload.
#[derive(Debug)]
pub(super) struct Fault {
    /// Where it begins.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) found: Found,
}

/// Whether a line is the header of a payload.
pub(crate) fn is_header(line: &[u8]) -> bool {
    Payload::begin(line, 0).is_some()
}

impl Payload {
    /// How many bytes from outside it keeps.
    pub(super) fn size(&self) -> usize {
        self.id.len() + self.message.len()
    }

    /// A payload without its message: `TYPE ID TIME [LATENCY …]`.
    fn begin(header: &[u8], line: u64) -> Option<Self> {
        let mut parts = std::str::from_utf8(header).ok()?.trim_end().split(' ');
        let kind = match parts.next()? {
            "1" => Kind::Request,
            "2" => Kind::Response,
            "3" => Kind::Replayed,
            _ => return None,
        };
        let id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let seen_ns = parts.next()?.parse().ok()?;
        let latency_ns = parts.next().map(str::parse).transpose().ok()?;
        Some(Self { line, kind, id, seen_ns, latency_ns, message: Vec::new() })
    }
}

/// The payloads of a file; after a fault, those behind the next separator.
pub(super) struct Payloads<'a> {
    reader: &'a mut dyn BufRead,
    /// How many line breaks were read.
    breaks: u64,
    /// The piece read last: a line, or a part of a long one.
    piece: Vec<u8>,
    /// Whether the next piece begins a line.
    at_line_start: bool,
    /// Whether `piece` is still to be taken.
    is_peeked: bool,
    is_done: bool,
}

impl<'a> Payloads<'a> {
    /// Begins at the start of a file.
    pub(super) fn new(reader: &'a mut dyn BufRead) -> Self {
        let (piece, at_line_start) = (Vec::new(), true);
        Self { reader, breaks: 0, piece, at_line_start, is_peeked: false, is_done: false }
    }

    fn read(&mut self) -> Result<Option<Payload>, Fault> {
        while self.piece()? && self.piece.trim_ascii().is_empty() {}
        if self.piece.is_empty() {
            return Ok(None);
        }
        let line = self.line();
        let payload = Payload::begin(&self.piece, line);
        let header = if payload.is_none() { preview(&self.piece) } else { String::new() };
        let message = self.message(line)?;
        match payload {
            Some(payload) => Ok(Some(Payload { message, ..payload })),
            None => {
                Err(Fault { line, found: Found::Bad(format!("`{header}` is not `TYPE ID TIME`")) })
            }
        }
    }

    /// What stands before the next separator. The bytes of a separator may also be part of a
    /// body, which its announced length tells.
    fn message(&mut self, line: u64) -> Result<Vec<u8>, Fault> {
        let (mut message, mut is_too_long) = (Vec::new(), false);
        loop {
            let starts_line = self.at_line_start;
            if !self.piece()? {
                let reason = "the payload is cut off: no separator ends it".to_owned();
                return Err(Fault { line, found: Found::Bad(reason) });
            }
            if starts_line && is_separator(&self.piece) {
                self.piece()?;
                (self.is_peeked, self.at_line_start) = (true, true);
                let ends = self.piece.is_empty() || is_header(&self.piece);
                if ends || is_too_long || !http::wants_more(&message) {
                    break;
                }
                message.extend_from_slice(SEPARATOR);
                message.push(b'\n');
            } else if message.len() + self.piece.len() > MAX_BYTES {
                (message, is_too_long) = (Vec::new(), true);
            } else if !is_too_long {
                message.extend_from_slice(&self.piece);
            }
        }
        if is_too_long {
            let reason = format!("longer than {MAX_BYTES} bytes");
            return Err(Fault { line, found: Found::Bad(reason) });
        }
        message.pop();
        Ok(message)
    }

    /// The next line, or part of a long one, into `piece`; whether there is one.
    fn piece(&mut self) -> Result<bool, Fault> {
        if std::mem::take(&mut self.is_peeked) {
            self.at_line_start = self.piece.ends_with(b"\n");
            return Ok(!self.piece.is_empty());
        }
        self.piece.clear();
        let mut rest = (&mut *self.reader).take(PIECE_BYTES);
        if let Err(error) = rest.read_until(b'\n', &mut self.piece) {
            self.is_done = true;
            self.piece.clear();
            return Err(Fault { line: self.breaks + 1, found: Found::Rest(unreadable(&error)) });
        }
        self.at_line_start = self.piece.ends_with(b"\n");
        self.breaks += u64::from(self.at_line_start);
        Ok(!self.piece.is_empty())
    }

    /// The line of `piece`.
    fn line(&self) -> u64 {
        self.breaks + u64::from(!self.at_line_start)
    }
}

impl Iterator for Payloads<'_> {
    type Item = Result<Payload, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done { None } else { self.read().transpose() }
    }
}

fn is_separator(piece: &[u8]) -> bool {
    piece.strip_suffix(b"\n").unwrap_or(piece) == SEPARATOR
}

/// The beginning of what should have been a header.
fn preview(piece: &[u8]) -> String {
    String::from_utf8_lossy(&piece[..piece.len().min(40)]).trim_end().escape_debug().to_string()
}
