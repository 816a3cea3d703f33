//! Keeps out of records what must not be in them: by rule, and so that what was equal stays equal.

mod body;
mod json;
mod token;
mod rules;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::record::{Answer, Request};

use rules::{Rule, What, With};
use token::Key;

/// What stands for itself in paths, queries and forms, tokens among it.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The largest file of rules.
const MAX_RULES_BYTES: u64 = 1 << 20;

type Headers = BTreeMap<String, String>;

/// Rules of what to redact, in their order.
#[derive(Debug)]
pub(crate) struct Policy {
    rules: Vec<Rule>,
    /// There is one if a rule makes tokens.
    key: Option<Key>,
    digest: String,
}

/// The rules can't be followed in a body, which is left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unredactable;

impl Policy {
    /// The rules of a file, if one is named.
    ///
    /// # Errors
    /// When there are none, or tokens are wanted without a key.
    pub(super) fn read(path: Option<&Path>, key: Option<&str>) -> Result<Option<Self>, Error> {
        let Some(path) = path else { return Ok(None) };
        let length = std::fs::metadata(path).map_err(Error::file(path))?.len();
        let place = |reason: String| Error::Usage(format!("`{}`: {reason}", path.display()));
        if length > MAX_RULES_BYTES {
            return Err(place(format!("is longer than {MAX_RULES_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        Self::parse(&text, key).map(Some).map_err(place)
    }

    fn parse(text: &str, key: Option<&str>) -> Result<Self, String> {
        let rules = rules::parse(text)?;
        let wants_key = rules.iter().any(|rule| rule.with == With::Token);
        let key = if wants_key { Some(Key::parse(key)?) } else { None };
        let digest = format!("sha256:{:x}", Hex(&Sha256::digest(text)));
        Ok(Self { rules, key, digest })
    }

    /// Names the rules in records.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Redacts a call, whose request was kept whole or not; what a body unpacks to may have so many
    /// bytes.
    ///
    /// # Errors
    /// When the rules can't be followed in a body: that is left out, and with it the answer, so that
    /// the call can't be replayed.
    pub(super) fn redact(
        &self,
        request: &mut Request,
        answer: &mut Result<Answer, String>,
        is_whole: bool,
        max_body: usize,
    ) -> Result<(), Unredactable> {
        request.path = self.path(&request.path);
        let mut is_safe = is_whole && !is_encoded(&request.headers);
        match self.body(&request.body, request.content_type.as_deref()).filter(|_| is_safe) {
            Some(body) => request.body = body,
            None => (request.body, is_safe) = (Bytes::new(), false),
        }
        self.head(&mut request.content_type, &mut request.headers);
        if let Ok(answer) = answer {
            *answer = answer.unpacked_within(max_body).into_owned();
            let is_plain = is_safe && !is_encoded(&answer.headers);
            match self.body(&answer.body, answer.content_type.as_deref()).filter(|_| is_plain) {
                Some(body) => answer.body = body,
                None => is_safe = false,
            }
            self.head(&mut answer.content_type, &mut answer.headers);
        }
        if !is_safe {
            let fault =
                "a body was left out: it is cut, compressed, or of a form that can't be redacted";
            *answer = Err(answer.as_ref().err().cloned().unwrap_or_else(|| fault.to_owned()));
            return Err(Unredactable);
        }
        Ok(())
    }

    /// What is kept of a head besides the path.
    fn head(&self, content_type: &mut Option<String>, headers: &mut Headers) {
        let values = content_type.iter_mut().chain(headers.values_mut());
        values.for_each(|value| *value = self.text(value));
    }

    /// Text as the patterns leave it.
    pub(super) fn text(&self, text: &str) -> String {
        let rules = self.rules.iter();
        let redacted = rules.fold(None, |done: Option<Vec<u8>>, rule| {
            self.legible(rule, done.as_deref().unwrap_or(text.as_bytes())).or(done)
        });
        // A pattern may match half a character.
        redacted.map_or_else(|| text.to_owned(), |it| String::from_utf8_lossy(&it).into_owned())
    }

    /// A path and query, whose parts are read as their receiver would.
    fn path(&self, path: &str) -> String {
        let redacted = self.rules.iter().fold(path.as_bytes().to_vec(), |path, rule| {
            let query = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
            let (before, query) = path.split_at(query);
            // Only in a query, a plus stands for a space.
            let before = self.parts(rule, before, b"/&=", |part| Some(unescaped(part)));
            let query = self.parts(rule, query, b"/?&=", |part| Some(decoded(part)));
            let path = [before, query].concat();
            self.pattern(rule, &path).unwrap_or(path)
        });
        String::from_utf8_lossy(&redacted).into_owned()
    }

    /// What a pattern leaves of a text and of the percent-encoded words in it, as in a URL.
    fn legible(&self, rule: &Rule, text: &[u8]) -> Option<Vec<u8>> {
        let redacted = self.pattern(rule, text);
        if !text.contains(&b'%') {
            return redacted;
        }
        let plain = redacted.as_deref().unwrap_or(text);
        let word = |word: &[u8]| Some(unescaped(word)).filter(|plain| plain != word);
        let parts = self.parts(rule, plain, b"/?&= \t\r\n", word);
        (parts != text).then_some(parts)
    }

    /// What a pattern leaves of what percent-encoded parts say, each ended by one of these.
    fn parts(
        &self,
        rule: &Rule,
        text: &[u8],
        ends: &[u8],
        decode: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Vec<u8> {
        let part = |part: &[u8]| {
            let length = part.len() - usize::from(part.last().is_some_and(|it| ends.contains(it)));
            let (value, end) = part.split_at(length);
            let redacted = self.pattern(rule, &decode(value)?)?;
            Some([encoded(&redacted).as_bytes(), end].concat())
        };
        let parts = text.split_inclusive(|byte| ends.contains(byte));
        parts.map(|it| part(it).unwrap_or_else(|| it.to_vec())).collect::<Vec<_>>().concat()
    }

    /// The bytes after a rule, if it is a pattern that occurs in them. Tokens stay as they are.
    fn pattern(&self, rule: &Rule, bytes: &[u8]) -> Option<Vec<u8>> {
        self.pattern_where(rule, bytes, |_| true)
    }

    /// The same, but only where it occurs in such places.
    fn pattern_where(
        &self,
        rule: &Rule,
        bytes: &[u8],
        is_meant: impl Fn(&json::Place) -> bool,
    ) -> Option<Vec<u8>> {
        let What::Pattern(pattern) = &rule.what else { return None };
        let is_secret = |found: &regex::bytes::Match<'_>| {
            is_meant(&found.range()) && !token::holds(bytes, found.range())
        };
        let mut found = pattern.find_iter(bytes).filter(is_secret).peekable();
        found.peek()?;
        let (mut redacted, mut copied) = (Vec::with_capacity(bytes.len()), 0);
        for found in found {
            redacted.extend_from_slice(&bytes[copied..found.start()]);
            if rule.with == With::Token {
                redacted.extend_from_slice(self.token(found.as_bytes()).as_bytes());
            }
            copied = found.end();
        }
        redacted.extend_from_slice(&bytes[copied..]);
        Some(redacted)
    }

    /// The token of a secret, or the secret if it is one.
    fn token(&self, secret: &[u8]) -> String {
        if token::holds(secret, 0..secret.len()) {
            return String::from_utf8_lossy(secret).into_owned();
        }
        self.key.as_ref().map(|key| key.token(secret)).unwrap_or_default()
    }
}

/// Whether a body is compressed, as the headers have it.
fn is_encoded(headers: &Headers) -> bool {
    headers.get("content-encoding").is_some_and(|it| !it.eq_ignore_ascii_case("identity"))
}

/// What a part of a query or form says.
fn decoded(part: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> =
        part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    unescaped(&spaced)
}

/// What a part of a path says.
fn unescaped(part: &[u8]) -> Vec<u8> {
    percent_decode(part).collect()
}

/// A part that says this.
fn encoded(plain: &[u8]) -> String {
    utf8_percent_encode(&String::from_utf8_lossy(plain), ENCODED).to_string()
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
