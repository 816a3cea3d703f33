//! The body of an answer, as far as it has come.

use bytes::{Buf, Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Status, parse_chunk_size, parse_headers};

use crate::error::Error;
use crate::head::{Framing, MOST_HEADERS};

/// How much memory a length that is announced gets before anything of it has come.
const MOST_TRUSTED_BYTES: usize = 1 << 20;
/// The longest line before a chunk: a number, and extensions that nobody reads.
const MOST_CHUNK_LINE_BYTES: usize = 4 << 10;
/// The longest trailers, which nobody reads either.
const MOST_TRAILER_BYTES: usize = 8 << 10;

/// Copied out of the connection's buffer, which is larger than many answers and free for the next.
#[derive(Debug)]
pub(crate) struct Body {
    whole: Vec<u8>,
    /// The most bytes that it may have.
    most: usize,
    next: Next,
}

/// What is to come.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// The last so many bytes.
    Bytes(u64),
    ChunkLine,
    /// So many bytes of a chunk.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Whatever comes.
    Rest,
    Nothing,
}

impl Body {
    /// One of which nothing has come yet.
    ///
    /// # Errors
    /// When it is longer than that by its own account.
    pub(crate) fn new(framing: Framing, most: usize) -> Result<Self, Error> {
        let (announced, next) = match framing {
            Framing::Length(length) => (length, Next::Bytes(length)),
            Framing::Chunked => (0, Next::ChunkLine),
            Framing::UntilClosed => (0, Next::Rest),
        };
        let announced = usize::try_from(announced).ok().filter(|&announced| announced <= most);
        let announced = announced.ok_or(Error::TooLarge)?;
        Ok(Self { whole: Vec::with_capacity(announced.min(MOST_TRUSTED_BYTES)), most, next })
    }

    /// How many bytes are known to be missing.
    pub(crate) fn missing(&self) -> usize {
        match self.next {
            Next::Bytes(missing) | Next::Chunk(missing) => {
                usize::try_from(missing).unwrap_or(usize::MAX)
            }
            _ => 0,
        }
    }

    /// Takes what has come; whether that was all.
    ///
    /// # Errors
    /// When it is too long, or no body.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        while let Some(next) = self.step(input)? {
            self.next = next;
        }
        Ok(matches!(self.next, Next::Nothing))
    }

    /// What is to come after the next part; none where that has not come whole.
    fn step(&mut self, input: &mut BytesMut) -> Result<Option<Next>, Error> {
        match self.next {
            Next::Bytes(0) => Ok(Some(Next::Nothing)),
            Next::Chunk(0) => Ok(Some(Next::ChunkEnd)),
            Next::Bytes(_) | Next::Chunk(_) | Next::Rest if input.is_empty() => Ok(None),
            Next::Bytes(missing) => Ok(Some(Next::Bytes(self.copy(missing, input)?))),
            Next::Chunk(missing) => Ok(Some(Next::Chunk(self.copy(missing, input)?))),
            Next::Rest => self.copy(u64::MAX, input).map(|_| None),
            Next::ChunkLine => self.chunk_line(input),
            Next::ChunkEnd => chunk_end(input),
            Next::Trailers => trailers(input),
            Next::Nothing => Ok(None),
        }
    }

    /// How many are missing still.
    fn copy(&mut self, missing: u64, input: &mut BytesMut) -> Result<u64, Error> {
        let here = usize::try_from(missing).map_or(input.len(), |missing| missing.min(input.len()));
        if here > self.most - self.whole.len() {
            return Err(Error::TooLarge);
        }
        self.whole.extend_from_slice(&input[..here]);
        input.advance(here);
        Ok(missing - here as u64)
    }

    fn chunk_line(&self, input: &mut BytesMut) -> Result<Option<Next>, Error> {
        match chunk_size(input)? {
            Some((_, size)) if size > (self.most - self.whole.len()) as u64 => Err(Error::TooLarge),
            Some((line, size)) => {
                input.advance(line);
                Ok(Some(if size == 0 { Next::Trailers } else { Next::Chunk(size) }))
            }
            None => Ok(None),
        }
    }

    /// All of it, once the connection is at its end.
    ///
    /// # Errors
    /// When that is not how it ends.
    pub(crate) fn close(self) -> Result<Bytes, Error> {
        match self.next {
            Next::Rest | Next::Nothing => Ok(self.whole.into_boxed_slice().into()),
            _ => Err(Error::Closed),
        }
    }
}

/// How long the line is, and what it says.
fn chunk_size(input: &[u8]) -> Result<Option<(usize, u64)>, Error> {
    // To the parser, no digit at all is a zero.
    let is_number = input.first().is_none_or(u8::is_ascii_hexdigit);
    match parse_chunk_size(input) {
        Ok(Status::Complete((line, size)))
            if is_number && line <= MOST_CHUNK_LINE_BYTES && are_lines(&input[..line]) =>
        {
            Ok(Some((line, size)))
        }
        Ok(Status::Partial) if is_number && input.len() <= MOST_CHUNK_LINE_BYTES => Ok(None),
        _ => Err(Error::Framing("a chunk does not say its size")),
    }
}

/// Whether each line ends as lines do. The parser is content with less, and others see other lines then.
fn are_lines(text: &[u8]) -> bool {
    let mut lines = text.split_inclusive(|&byte| byte == b'\n');
    lines.all(|line| line.ends_with(b"\r\n"))
}

fn chunk_end(input: &mut BytesMut) -> Result<Option<Next>, Error> {
    match input.get(..2) {
        Some(b"\r\n") => {
            input.advance(2);
            Ok(Some(Next::ChunkLine))
        }
        None if b"\r\n".starts_with(input) => Ok(None),
        _ => Err(Error::Framing("a chunk is longer than it says")),
    }
}

/// What is said after the body changes nothing about it.
fn trailers(input: &mut BytesMut) -> Result<Option<Next>, Error> {
    match parse_headers(input, &mut [EMPTY_HEADER; MOST_HEADERS])? {
        Status::Complete((length, _)) if length > MOST_TRAILER_BYTES => Err(Error::TooLarge),
        Status::Complete((length, _)) if are_lines(&input[..length]) => {
            input.advance(length);
            Ok(Some(Next::Nothing))
        }
        Status::Complete(_) => Err(Error::Framing("its trailers are no lines")),
        Status::Partial if input.len() <= MOST_TRAILER_BYTES => Ok(None),
        Status::Partial => Err(Error::TooLarge),
    }
}
