//! Bodies with every rule followed, read as their receiver reads them: JSON however its strings are
//! escaped, and the fields of a form. What a rule can't be followed in is not kept.

use bytes::Bytes;
use serde_json::Value;

use super::rules::{Rule, What, With};
use super::{Policy, decoded, json};

/// What a body is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// JSON values, or what would be if it were not broken.
    Json,
    /// `name=value` pairs, as browsers send them.
    Pairs,
    /// Anything else.
    Text,
}

impl Form {
    /// The form of a body; none of one that would hide secrets from either reading.
    fn of(body: &[u8], content_type: Option<&str>) -> Option<Self> {
        let media_type = content_type.map(str::to_ascii_lowercase).unwrap_or_default();
        if media_type.starts_with("application/x-www-form-urlencoded") {
            // Many a client calls JSON so, and many a server doesn't look.
            return match json::is_meant(body, None) {
                true => json::values(body).map(|_| Self::Json),
                false => Some(Self::Pairs),
            };
        }
        Some(if json::is_meant(body, content_type) { Self::Json } else { Self::Text })
    }
}

impl Policy {
    /// A body with every rule followed, if that can be done.
    pub(super) fn body(&self, body: &Bytes, content_type: Option<&str>) -> Option<Bytes> {
        let mut redacted = body.clone();
        if body.trim_ascii().is_empty() {
            return Some(redacted);
        }
        let form = Form::of(body, content_type)?;
        for rule in &self.rules {
            redacted = match (&rule.what, form) {
                (What::Pattern(_), _) if !is_legible(body, content_type) => return None,
                (What::Pattern(_), _) => self.patterned(rule, form, redacted)?,
                (What::Field(pointer), Form::Pairs) => {
                    self.pairs(rule.with, pointer, &redacted).into()
                }
                (What::Field(pointer), _) => {
                    let places = json::places(&redacted, pointer)?;
                    let redact = |value: &[u8]| Some(self.member(rule.with, value));
                    replaced(&redacted, &places, redact).map_or(redacted, Bytes::from)
                }
            };
        }
        Some(redacted)
    }

    /// A body after a pattern: what its parts say first, then the bytes as they are.
    fn patterned(&self, rule: &Rule, form: Form, body: Bytes) -> Option<Bytes> {
        match form {
            Form::Pairs => {
                let parts = self.parts(rule, &body, b"&=", |part| Some(decoded(part)));
                Some(self.pattern(rule, &parts).unwrap_or(parts).into())
            }
            Form::Json if json::values(&body).is_some() => self.valued(rule, body),
            // Broken JSON may hide anything behind an escape, or in another encoding.
            Form::Json if body.iter().any(|byte| matches!(byte, b'\\' | 0)) => None,
            Form::Json | Form::Text => {
                let strings = json::values(&body).unwrap_or_default();
                let string = |value: &[u8]| {
                    if value.starts_with(b"\"") { self.value(rule, value) } else { None }
                };
                let body = replaced(&body, &strings, string).map_or(body, Bytes::from);
                Some(self.legible(rule, &body).map_or(body, Bytes::from))
            }
        }
    }

    /// JSON after a pattern: it sees what strings and numbers say, and then what is longer than one
    /// of them. What would be no JSON any more can't be redacted so.
    fn valued(&self, rule: &Rule, body: Bytes) -> Option<Bytes> {
        let values = json::values(&body)?;
        let body =
            replaced(&body, &values, |value| self.value(rule, value)).map_or(body, Bytes::from);
        let values = json::values(&body)?;
        // The digits of an escape are no number.
        let is_longer = |found: &json::Place| {
            let before = values.partition_point(|value| value.start < found.start);
            before.checked_sub(1).is_none_or(|at| values[at].end <= found.end)
        };
        let Some(redacted) = self.pattern_where(rule, &body, is_longer) else { return Some(body) };
        json::values(&redacted).map(|_| redacted.into())
    }

    /// The string that stands for one, or for a number, after a pattern that occurs in it. JSON in a
    /// string is read as such.
    fn value(&self, rule: &Rule, value: &[u8]) -> Option<String> {
        let plain = json::plain(value);
        let is_json = json::is_meant(&plain, None) && json::values(&plain).is_some();
        let redacted = match is_json {
            true => {
                let body = self.valued(rule, Bytes::copy_from_slice(&plain));
                body.map(Vec::from).or_else(|| self.legible(rule, &plain))
            }
            false => self.legible(rule, &plain),
        };
        let redacted = redacted.filter(|redacted| redacted[..] != plain[..])?;
        Some(Value::from(String::from_utf8_lossy(&redacted)).to_string())
    }

    /// What stands for a field's value in JSON.
    fn member(&self, with: With, value: &[u8]) -> String {
        match with {
            With::Token => format!("\"{}\"", self.token(&json::plain(value))),
            With::Drop => "null".to_owned(),
        }
    }

    /// A form in which something else stands for a field.
    fn pairs(&self, with: With, pointer: &[String], body: &[u8]) -> Vec<u8> {
        let is_meant = |name: &[u8]| match pointer {
            [field] => field == "*" || field.as_bytes() == decoded(name),
            _ => false,
        };
        let pair = |pair: &[u8]| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(end);
            match value.split_first() {
                Some((_, value)) if is_meant(name) => {
                    let redacted = match with {
                        With::Token => self.token(&decoded(value)),
                        With::Drop => String::new(),
                    };
                    [name, b"=", redacted.as_bytes()].concat()
                }
                _ => pair.to_vec(),
            }
        };
        body.split(|byte| *byte == b'&').map(pair).collect::<Vec<_>>().join(&b'&')
    }
}

/// Whether a pattern sees the characters: in another encoding than UTF-8, it sees those of ASCII.
fn is_legible(body: &[u8], content_type: Option<&str>) -> bool {
    let content_type = content_type.map(str::to_ascii_lowercase).unwrap_or_default();
    let mut parameters = content_type.split(';').skip(1);
    let charset = parameters.find_map(|parameter| parameter.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches(['"', ' '])) {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => true,
        Some(_) => body.is_ascii() && !body.contains(&0),
    }
}

/// The body with something else in some of the places, if there is any.
fn replaced(
    body: &[u8],
    places: &[json::Place],
    redact: impl Fn(&[u8]) -> Option<String>,
) -> Option<Vec<u8>> {
    let (mut redacted, mut copied) = (Vec::with_capacity(body.len()), 0);
    for place in places {
        if let Some(new) = redact(&body[place.clone()]) {
            redacted.extend_from_slice(&body[copied..place.start]);
            redacted.extend_from_slice(new.as_bytes());
            copied = place.end;
        }
    }
    redacted.extend_from_slice(&body[copied..]);
    (copied > 0).then_some(redacted)
}
