//! Finds fields and strings in JSON without changing a byte of the rest.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};

/// Where a value stands.
pub(super) type Place = Range<usize>;

/// How deep values may be nested.
const MAX_DEPTH: usize = 128;

/// Whether a body is JSON, or would be if it were not broken.
pub(super) fn is_meant(body: &[u8], content_type: Option<&str>) -> bool {
    let is_named = content_type.is_some_and(|it| it.to_ascii_lowercase().contains("json"));
    is_named && !body.trim_ascii().is_empty() || matches!(start(body), Some(b'{' | b'['))
}

fn start(body: &[u8]) -> Option<u8> {
    body.trim_ascii_start().first().copied()
}

/// The places of a field in one JSON value or several, if all of the body is such.
pub(super) fn places(body: &[u8], pointer: &[String]) -> Option<Vec<Place>> {
    scan(body, Some(pointer)).map(|scan| scan.found)
}

/// The places of all strings, names of members among them, and of all numbers, if all of the body
/// is JSON.
pub(super) fn values(body: &[u8]) -> Option<Vec<Place>> {
    scan(body, None).map(|scan| scan.values)
}

fn scan<'a>(body: &'a [u8], pointer: Option<&[String]>) -> Option<Scan<'a>> {
    let values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
    for value in values {
        value.ok()?;
    }
    let mut scan = Scan { body, at: 0, found: Vec::new(), values: Vec::new() };
    scan.space();
    while scan.at < body.len() {
        scan.value(pointer, MAX_DEPTH)?;
        scan.space();
    }
    Some(scan)
}

/// What a value says: of a string its characters, however they are written.
pub(super) fn plain(value: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<Characters>(value) {
        Ok(Characters(text)) => text.into(),
        Err(_) => value.into(),
    }
}

/// The characters of a string as bytes, since they may be half a surrogate pair.
struct Characters(Vec<u8>);

impl<'de> Deserialize<'de> for Characters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Text).map(Self)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<Vec<u8>, E> {
        Ok(text.to_vec())
    }
}

/// Walks through bytes that are known to be JSON.
struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    found: Vec<Place>,
    values: Vec<Place>,
}

impl Scan<'_> {
    /// Passes a value; `path` is what is left of the pointer, if the value is on its way.
    fn value(&mut self, path: Option<&[String]>, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.space();
        let start = self.at;
        match self.peek()? {
            b'{' => self.members(path, depth)?,
            b'[' => self.elements(path, depth)?,
            b'"' => self.at = self.string()?.end,
            first => {
                self.skip(|byte| !matches!(byte, b',' | b']' | b'}') && !is_space(byte));
                if matches!(first, b'-' | b'0'..=b'9') {
                    self.values.push(start..self.at);
                }
            }
        }
        if path.is_some_and(<[String]>::is_empty) {
            self.found.push(start..self.at);
        }
        (self.at > start).then_some(())
    }

    fn members(&mut self, path: Option<&[String]>, depth: usize) -> Option<()> {
        self.at += 1;
        loop {
            self.skip(|byte| is_space(byte) || byte == b',');
            if self.peek()? == b'}' {
                break self.at += 1;
            }
            let name = self.string()?;
            let name = plain(&self.body[name]).into_owned();
            self.skip(|byte| is_space(byte) || byte == b':');
            self.value(below(path, &name), depth)?;
        }
        Some(())
    }

    fn elements(&mut self, path: Option<&[String]>, depth: usize) -> Option<()> {
        self.at += 1;
        for index in 0_usize.. {
            self.skip(|byte| is_space(byte) || byte == b',');
            if self.peek()? == b']' {
                self.at += 1;
                break;
            }
            self.value(below(path, index.to_string().as_bytes()), depth)?;
        }
        Some(())
    }

    fn string(&mut self) -> Option<Place> {
        let start = self.at;
        (self.peek()? == b'"').then_some(())?;
        self.at += 1;
        while self.peek()? != b'"' {
            self.at += if self.peek()? == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.values.push(start..self.at);
        Some(start..self.at)
    }

    fn space(&mut self) {
        self.skip(is_space);
    }

    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What is left of the pointer below a member or element of this name.
fn below<'a>(path: Option<&'a [String]>, name: &[u8]) -> Option<&'a [String]> {
    let (first, rest) = path?.split_first()?;
    (first == "*" || first.as_bytes() == name).then_some(rest)
}
