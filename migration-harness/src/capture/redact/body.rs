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
    /// The form of a body.
    fn of(body: &[u8], content_type: Option<&str>) -> Self {
        let media_type = content_type.map(str::to_ascii_lowercase).unwrap_or_default();
        if media_type.starts_with("application/x-www-form-urlencoded") {
            Self::Pairs
        } else if json::is_meant(body, content_type) {
            Self::Json
        } else {
            Self::Text
        }
    }
}

impl Policy {
    /// A body with every rule followed, if that can be done.
    pub(super) fn body(&self, body: &Bytes, content_type: Option<&str>) -> Option<Bytes> {
        let mut redacted = body.clone();
        if body.trim_ascii().is_empty() {
            return Some(redacted);
        }
        let form = Form::of(body, content_type);
        for rule in &self.rules {
            redacted = match (&rule.what, form) {
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
        let string = |string: &[u8]| {
            let redacted = self.pattern(rule, &json::plain(string))?;
            Some(Value::from(String::from_utf8_lossy(&redacted)).to_string())
        };
        let strings = match (form, json::strings(&body)) {
            (Form::Pairs, _) => {
                return Some(self.parts(rule, &body, b"&=").map_or(body, Bytes::from));
            }
            (_, Some(strings)) => replaced(&body, &strings, string),
            // Broken JSON may hide anything behind an escape.
            (Form::Json, None) if body.contains(&b'\\') => return None,
            _ => None,
        };
        let body = strings.map_or(body, Bytes::from);
        Some(self.pattern(rule, &body).map_or(body, Bytes::from))
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
