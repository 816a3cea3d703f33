//! Reads an answer in our own form that has nothing odd about it, as nearly all are: for ten models
//! a review the parser would take longer than all else that is done with their answers. Whatever is
//! not plain is left to it. Builds with debug assertions, the fuzzer's too, hold both against each other.

use std::sync::Arc;

use super::score::Score;
use super::{Reading, Scores};

/// The deepest nesting that is looked into.
const MOST_LEVELS: usize = 16;

/// The most characters of a number; one of hundreds could be infinite.
const LONGEST_NUMBER: usize = 64;

/// What an answer says that is UTF-8 without escapes, names each field and label once, tells of no
/// error, and has texts and numbers where they are looked for.
pub(super) fn read(body: &[u8]) -> Option<Reading> {
    let mut answer = Plain { text: str::from_utf8(body).ok()?, at: 0 };
    let (mut scores, mut model) = (None, None);
    answer.object(|answer, field| match field {
        "scores" => set(&mut scores, answer.scores()?),
        "model" => set(&mut model, answer.model()?),
        "error" => None,
        _ => answer.pass(MOST_LEVELS),
    })?;
    answer.end()?;
    let (version, digest) = model.unwrap_or_default();
    let (version, digest) = (version.map(Arc::from), digest.map(str::to_owned));
    Some(Reading { version, digest, scores: scores? })
}

/// A JSON text, and how far it has been read.
struct Plain<'a> {
    text: &'a str,
    at: usize,
}

/// The version and the digest of a model.
type Model<'a> = (Option<&'a str>, Option<&'a str>);

impl<'a> Plain<'a> {
    fn scores(&mut self) -> Option<Scores> {
        let mut scores = Scores::default();
        self.object(|answer, label| {
            // Rounded as the parser rounds, by its feature `float_roundtrip`.
            let Score(score) = Score::of(answer.number()?.parse().ok()?);
            scores.insert(label.to_owned(), score).then_some(())
        })?;
        Some(scores)
    }

    fn model(&mut self) -> Option<Model<'a>> {
        let (mut version, mut digest) = (None, None);
        self.object(|answer, field| match field {
            "version" => set(&mut version, answer.string()?),
            "digest" => set(&mut digest, answer.string()?),
            _ => answer.pass(MOST_LEVELS),
        })?;
        Some((version, digest))
    }

    /// An object, of whose fields each is told to `read`, which reads its value.
    fn object(&mut self, mut read: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let field = self.string()?;
            self.take(b':')?;
            read(self, field)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn list(&mut self, levels: usize) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.pass(levels)?;
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    /// Any value, of no more than so many levels.
    fn pass(&mut self, levels: usize) -> Option<()> {
        let below = levels.checked_sub(1)?;
        match self.first()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(|answer, _| answer.pass(below)),
            b'[' => self.list(below),
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            _ => self.number().map(drop),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is_it = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_it.then_some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let begun = self.at;
        loop {
            match self.byte()? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(begun..self.at - 1)
    }

    /// A number without an exponent that could make it infinite.
    fn number(&mut self) -> Option<&'a str> {
        self.first()?;
        let begun = self.at;
        self.at += usize::from(self.byte()? == b'-');
        let leads = self.byte()?;
        if self.digits()? > 1 && leads == b'0' {
            return None;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            (self.byte()? == b'-').then(|| self.at += 1)?;
            self.digits()?;
        }
        self.text.get(begun..self.at).filter(|number| number.len() <= LONGEST_NUMBER)
    }

    /// How many digits there are, if any.
    fn digits(&mut self) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(count)
    }

    /// Goes on if this comes next.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.first()? == byte).then(|| self.at += 1)
    }

    /// The next byte that is no space.
    fn first(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn end(&mut self) -> Option<()> {
        self.first().is_none().then_some(())
    }
}

/// Sets what is not set yet.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.is_none().then(|| *place = Some(value))
}
