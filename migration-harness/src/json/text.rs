//! Strings as they are written, and what they say.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::str::Chars;

/// A string: what stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    written: &'a str,
    /// Whether backslashes in it are JSON's.
    is_escaped: bool,
}

impl<'a> Text<'a> {
    /// Text as it is.
    pub(crate) fn plain(text: &'a str) -> Self {
        Self { written: text, is_escaped: false }
    }

    /// Text in which backslashes are JSON's, and known to be in order.
    pub(super) fn escaped(text: &'a str) -> Self {
        Self { written: text, is_escaped: true }
    }

    /// What it says. The lone halves of surrogate pairs, which no string can hold, become as many
    /// characters of private use.
    pub(crate) fn read(self) -> Cow<'a, str> {
        if self.is_escaped {
            self.points().filter_map(character).collect()
        } else {
            Cow::Borrowed(self.written)
        }
    }

    /// Whether both are written alike, so that they also say the same.
    pub(crate) fn is_written_as(self, other: Text<'_>) -> bool {
        self.written == other.written && self.is_escaped == other.is_escaped
    }

    /// Its code points, among them lone halves of surrogate pairs.
    fn points(self) -> Points<'a> {
        Points { rest: self.written.chars(), is_escaped: self.is_escaped }
    }
}

/// By what they say.
impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        if self.is_escaped || other.is_escaped {
            return self.is_written_as(*other) || self.points().eq(other.points());
        }
        self.written == other.written
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if !self.is_escaped {
            return self.written.hash(state);
        }
        self.read().hash(state);
    }
}

struct Points<'a> {
    rest: Chars<'a>,
    is_escaped: bool,
}

impl Iterator for Points<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let point = self.rest.next()?;
        if point != '\\' || !self.is_escaped {
            return Some(point.into());
        }
        Some(match self.rest.next()? {
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'u' => self.unit_or_pair()?,
            other => other.into(),
        })
    }
}

impl Points<'_> {
    fn unit_or_pair(&mut self) -> Option<u32> {
        let unit = hex(&mut self.rest)?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Some(unit);
        }
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('\\')
            && ahead.next() == Some('u')
            && let Some(low @ 0xdc00..=0xdfff) = hex(&mut ahead)
        {
            self.rest = ahead;
            return Some(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        }
        Some(unit)
    }
}

/// Of the 2,048 halves, the first becomes U+10F800.
fn character(point: u32) -> Option<char> {
    char::from_u32(point).or_else(|| char::from_u32(point - 0xd800 + 0x10_f800))
}

fn hex(rest: &mut Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | rest.next()?.to_digit(16)?))
}
