//! Cuts a body into lines, with no more than one line in memory.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::body::{broken, too_large};
use crate::problem::Problem;

/// A line and its number, counted from 1.
#[derive(Debug)]
pub(super) struct Line {
    /// Blank lines count too.
    pub(super) number: u64,
    /// The line without its end, or why there is none.
    pub(super) text: Result<Bytes, Problem>,
}

/// The lines of `body` that are not blank; those over `limit` bytes are skipped and reported, and
/// so is the end of a body that breaks off, as its last line.
pub(super) fn lines(
    body: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
    limit: usize,
) -> impl Stream<Item = Line> {
    let cutter = Cutter::new(limit);
    let state = (body, cutter, false);
    futures_util::stream::unfold(state, |(mut body, mut cutter, mut ended)| async move {
        loop {
            if let Some(line) = cutter.next_line(ended) {
                return Some((line, (body, cutter, ended)));
            }
            if ended {
                return None;
            }
            match body.next().await {
                Some(Ok(chunk)) => cutter.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Some((cutter.give_up(&error), (body, cutter, true))),
                None => ended = true,
            }
        }
    })
}

#[derive(Debug)]
struct Cutter {
    /// What has been read and not given out.
    buffer: BytesMut,
    /// How much of it has no line break.
    searched: usize,
    /// The number of the last line given out.
    number: u64,
    /// Whether the line that the buffer continues has been too long already.
    overlong: bool,
    limit: usize,
}

impl Cutter {
    fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, number: 0, overlong: false, limit }
    }

    /// The next line that is complete, or the rest once the body has `ended`.
    fn next_line(&mut self, ended: bool) -> Option<Line> {
        loop {
            let line = self.cut(ended)?;
            self.number += 1;
            let number = self.number;
            if line.overlong || line.text.len() > self.limit {
                return Some(Line { number, text: Err(too_large("line", self.limit)) });
            }
            if !line.text.trim_ascii().is_empty() {
                return Some(Line { number, text: Ok(line.text) });
            }
        }
    }

    /// The line that will not come to its end.
    fn give_up(&mut self, error: &axum::Error) -> Line {
        let number = self.number + 1;
        *self = Self::new(self.limit);
        Line { number, text: Err(broken(error)) }
    }

    fn cut(&mut self, ended: bool) -> Option<Cut> {
        let line_break = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(position) = line_break else { return self.no_break(ended) };
        let text = self.buffer.split_to(self.searched + position).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Some(Cut { text, overlong: std::mem::take(&mut self.overlong) })
    }

    /// The body's last line, or nothing yet; what is too long already need not be kept.
    fn no_break(&mut self, ended: bool) -> Option<Cut> {
        if ended && (self.overlong || !self.buffer.is_empty()) {
            let overlong = std::mem::take(&mut self.overlong);
            self.searched = 0;
            return Some(Cut { text: self.buffer.split().freeze(), overlong });
        }
        if self.overlong || self.buffer.len() > self.limit {
            self.overlong = true;
            self.buffer.clear();
        }
        self.searched = self.buffer.len();
        None
    }
}

struct Cut {
    text: Bytes,
    overlong: bool,
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// The lines of `text`, arriving in chunks of `size` bytes.
    fn cut(text: &str, size: usize) -> Vec<(u64, Option<String>)> {
        let chunks: Vec<Result<Bytes, axum::Error>> =
            text.as_bytes().chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let lines = lines(stream::iter(chunks), 5).map(|line| {
            (line.number, line.text.ok().map(|text| String::from_utf8(text.into()).unwrap()))
        });
        futures_util::FutureExt::now_or_never(lines.collect()).unwrap()
    }

    #[test]
    fn blank_lines_are_skipped_but_counted() {
        for size in 1..10 {
            let expected = [(1, Some("a".to_owned())), (4, Some("b\r".to_owned()))];
            assert_eq!(cut("a\n\n \r\nb\r\n", size), expected, "{size}");
        }
    }

    #[test]
    fn the_last_line_needs_no_end() {
        for size in 1..10 {
            assert_eq!(cut("a\nb", size).last(), Some(&(2, Some("b".to_owned()))), "{size}");
        }
    }

    #[test]
    fn an_overlong_line_is_reported_and_the_next_one_read() {
        for size in 1..30 {
            let expected = [(1, None), (2, Some("12345".to_owned())), (3, None)];
            assert_eq!(cut("123456789\n12345\n123456", size), expected, "{size}");
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_reported_after_its_lines() {
        let chunks = [Ok(Bytes::from("a\nb")), Err(axum::Error::new("reset"))];
        let lines = lines(stream::iter(chunks), 5).map(|line| (line.number, line.text.is_ok()));
        let lines: Vec<_> = futures_util::FutureExt::now_or_never(lines.collect()).unwrap();
        assert_eq!(lines, [(1, true), (2, false)]);
    }
}
