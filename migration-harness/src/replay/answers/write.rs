//! Writes the line of an answer. Bodies and times, of which every line has some, are written by hand:
//! most characters of a body that is JSON stand beside one to be escaped, and most times are within
//! the second of the last one.

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use super::Outcome;
use crate::record::line::Encoding;
use crate::record::{Answer, Record};

/// Writes one line after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    captured_at: Clock,
    sent_at: Clock,
}

impl Writer {
    /// Appends the line of a record.
    pub(super) fn write(
        &mut self,
        sequence: u64,
        record: &Record,
        outcome: &Outcome,
        text: &mut Vec<u8>,
    ) {
        member(text, "{\"schema_version\":1,\"sequence\":", &sequence);
        member(text, ",\"id\":", &record.id);
        text.extend(b",\"captured_at\":");
        self.captured_at.write(record.captured_at, text);
        member(text, ",\"model\":", &record.model);
        if let Some(client) = &record.client {
            member(text, ",\"client\":", client);
        }
        match &outcome.reply.answer {
            Ok(answer) => write_answer(answer, text),
            Err(reason) => member(text, ",\"response\":null,\"error\":", reason),
        }
        member(text, ",\"latency_us\":", &outcome.reply.latency_us);
        text.extend(b",\"sent_at\":");
        self.sent_at.write(outcome.sent_at, text);
        member(text, ",\"lateness_us\":", &outcome.lateness_us);
        text.extend(b"}\n");
    }
}

fn write_answer(answer: &Answer, text: &mut Vec<u8>) {
    member(text, ",\"response\":{\"status\":", &answer.status);
    if let Some(content_type) = &answer.content_type {
        member(text, ",\"content_type\":", content_type);
    }
    if !answer.headers.is_empty() {
        member(text, ",\"headers\":", &answer.headers);
    }
    let (body, encoding) = Encoding::of_line(&answer.body);
    text.extend(b",\"body\":");
    write_string(&body, text);
    member(text, ",\"encoding\":", encoding.name());
    text.push(b'}');
}

fn member(text: &mut Vec<u8>, before: &str, value: &(impl Serialize + ?Sized)) {
    text.extend(before.as_bytes());
    serde_json::to_writer(text, value).expect("it is JSON, and a vector takes it");
}

fn write_string(string: &str, text: &mut Vec<u8>) {
    text.reserve(string.len() + 2);
    text.push(b'"');
    for byte in string.bytes() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', byte]),
            b' '.. => text.push(byte),
            b'\n' => text.extend(b"\\n"),
            0x08 => text.extend(b"\\b"),
            0x0c => text.extend(b"\\f"),
            b'\r' => text.extend(b"\\r"),
            b'\t' => text.extend(b"\\t"),
            _ => write!(text, "\\u{byte:04x}").expect("a vector takes it"),
        }
    }
    text.push(b'"');
}

/// Writes times, most of which are within the second of the last one.
#[derive(Debug, Default)]
struct Clock {
    second: i64,
    /// That second as text, up to where its fraction would stand.
    written: String,
}

impl Clock {
    fn write(&mut self, at: Timestamp, text: &mut Vec<u8>) {
        // A fraction before 1970 counts backwards.
        let Ok(nanosecond) = u32::try_from(at.subsec_nanosecond()) else {
            return member(text, "", &at);
        };
        if self.written.is_empty() || self.second != at.as_second() {
            self.second = at.as_second();
            self.written = format!("\"{at:.0}");
            self.written.pop();
        }
        text.extend(self.written.as_bytes());
        if nanosecond > 0 {
            write!(text, ".{nanosecond:09}").expect("a vector takes it");
            let zeros = text.iter().rev().take_while(|digit| **digit == b'0').count();
            text.truncate(text.len() - zeros);
        }
        text.extend(b"Z\"");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_written_as_serde_does_with_every_character_that_is_escaped() {
        let string: String = ('\0'..'\u{180}').chain("é😀\u{2028}\"".chars()).collect();
        let mut text = Vec::new();
        write_string(&string, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), serde_json::to_string(&string).unwrap());
    }

    #[test]
    fn times_are_written_as_they_print_in_whatever_order_they_come() {
        let nanoseconds = [0, 1, 120_000_000, 999_999_999, 1_000_000_000, -1, -1_500_000_000];
        let later = 1_767_225_599_999_999_000;
        let mut clock = Clock::default();
        for nanosecond in nanoseconds.into_iter().chain([later, later + 1000, later - 1000, 0]) {
            let (at, mut text) = (Timestamp::from_nanosecond(nanosecond).unwrap(), Vec::new());
            clock.write(at, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), format!("\"{at}\""));
        }
    }
}
