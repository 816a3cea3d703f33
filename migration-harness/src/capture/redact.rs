//! Keeps out of records what must not be in them: by rule, and so that what was equal stays equal.

mod json;
mod token;
mod rules;

use std::path::Path;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::record::{Answer, Request};

use rules::{Rule, What, With};
use token::Key;

/// The largest file of rules.
const MAX_RULES_BYTES: u64 = 1 << 20;

/// Rules of what to redact, in their order.
#[derive(Debug)]
pub(super) struct Policy {
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

    /// Redacts a call.
    ///
    /// # Errors
    /// When the rules can't be followed in a body: that is left out, and with it the answer, so that
    /// the call can't be replayed.
    pub(super) fn redact(
        &self,
        request: &mut Request,
        answer: &mut Result<Answer, String>,
        is_whole: bool,
    ) -> Result<(), Unredactable> {
        request.path = self.path(&request.path);
        request.headers.values_mut().for_each(|value| *value = self.text(value));
        let encoded = |headers: &std::collections::BTreeMap<String, String>| {
            headers.get("content-encoding").is_some_and(|it| !it.eq_ignore_ascii_case("identity"))
        };
        let mut is_safe = is_whole && !encoded(&request.headers);
        match self.body(&request.body, request.content_type.as_deref()).filter(|_| is_safe) {
            Some(body) => request.body = body,
            None => (request.body, is_safe) = (Bytes::new(), false),
        }
        if let Ok(answer) = answer {
            answer.headers.values_mut().for_each(|value| *value = self.text(value));
            let is_plain = is_safe && !encoded(&answer.headers);
            match self.body(&answer.body, answer.content_type.as_deref()).filter(|_| is_plain) {
                Some(body) => answer.body = body,
                None => is_safe = false,
            }
        }
        if !is_safe {
            let fault =
                "a body was left out: it can't be redacted, being cut, compressed or no JSON";
            *answer = Err(answer.as_ref().err().cloned().unwrap_or_else(|| fault.to_owned()));
            return Err(Unredactable);
        }
        Ok(())
    }

    /// Text as the patterns leave it.
    pub(super) fn text(&self, text: &str) -> String {
        let bytes = self.patterns(text.as_bytes());
        // A pattern may match half a character.
        bytes.map_or_else(|| text.to_owned(), |it| String::from_utf8_lossy(&it).into_owned())
    }

    /// A path and query, whose parts are read as their receiver would.
    fn path(&self, path: &str) -> String {
        let path = self.text(path);
        let part = |part: &str| {
            let (value, end) = match part.char_indices().next_back() {
                Some((at, '/' | '?' | '&' | '=')) => part.split_at(at),
                _ => (part, ""),
            };
            let plain = percent_decode_str(value).decode_utf8_lossy().replace('+', " ");
            let redacted = self.text(&plain);
            if redacted == plain {
                return part.to_owned();
            }
            utf8_percent_encode(&redacted, NON_ALPHANUMERIC).to_string() + end
        };
        path.split_inclusive(['/', '?', '&', '=']).map(part).collect()
    }

    /// A body with every rule followed, if that can be done.
    fn body(&self, body: &Bytes, content_type: Option<&str>) -> Option<Bytes> {
        let mut redacted = body.clone();
        for rule in &self.rules {
            let replaced = match &rule.what {
                What::Pattern(_) => self.pattern(rule, &redacted),
                What::Field(pointer) if json::is_meant(&redacted, content_type) => {
                    let places = json::places(&redacted, pointer)?;
                    self.fields(rule.with, &redacted, &places)
                }
                What::Field(_) => None,
            };
            redacted = replaced.map_or(redacted, Bytes::from);
        }
        Some(redacted)
    }

    fn fields(&self, with: With, body: &[u8], places: &[json::Place]) -> Option<Vec<u8>> {
        let mut redacted = Vec::with_capacity(body.len());
        let mut copied = 0;
        for place in places {
            redacted.extend_from_slice(&body[copied..place.start]);
            match with {
                With::Token => {
                    redacted.push(b'"');
                    redacted.extend_from_slice(
                        self.token(&json::plain(&body[place.clone()])).as_bytes(),
                    );
                    redacted.push(b'"');
                }
                With::Drop => redacted.extend_from_slice(b"null"),
            }
            copied = place.end;
        }
        redacted.extend_from_slice(&body[copied..]);
        (!places.is_empty()).then_some(redacted)
    }

    fn patterns(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let rules = self.rules.iter();
        rules.fold(None, |done: Option<Vec<u8>>, rule| {
            self.pattern(rule, done.as_deref().unwrap_or(bytes)).or(done)
        })
    }

    /// The bytes after a rule, if it is a pattern that occurs in them.
    fn pattern(&self, rule: &Rule, bytes: &[u8]) -> Option<Vec<u8>> {
        let What::Pattern(pattern) = &rule.what else { return None };
        let replacement = |found: &regex::bytes::Captures<'_>| match rule.with {
            With::Token => self.token(&found[0]).into_bytes(),
            With::Drop => Vec::new(),
        };
        match pattern.replace_all(bytes, replacement) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(replaced) => Some(replaced),
        }
    }

    fn token(&self, secret: &[u8]) -> String {
        self.key.as_ref().map(|key| key.token(secret)).unwrap_or_default()
    }
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
