//! A body within a line: as it is, or in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fault;

/// A longer body is written as base64 where that is shorter than its escapes, which may be six times
/// as long; a shorter one stays legible.
const LONG_BODY_BYTES: usize = 1 << 20;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// As it is.
    Utf8,
    /// Since it is no text.
    Base64,
}

impl Encoding {
    /// The body as text, and how to read that.
    pub(crate) fn of(body: &[u8]) -> (Cow<'_, str>, Self) {
        match std::str::from_utf8(body) {
            Ok(text) => (text.into(), Self::Utf8),
            Err(_) => (STANDARD.encode(body).into(), Self::Base64),
        }
    }

    /// The same for a line, in which some characters are escaped.
    pub(crate) fn of_line(body: &[u8]) -> (Cow<'_, str>, Self) {
        let is_short = body.len() <= LONG_BODY_BYTES || escaped(body) <= body.len().div_ceil(3) * 4;
        if is_short { Self::of(body) } else { (STANDARD.encode(body).into(), Self::Base64) }
    }

    /// Its name in a record.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Base64 => "base64",
        }
    }

    /// The body that a text stands for.
    ///
    /// # Errors
    /// A sentence for the user, when it is no base64.
    pub(super) fn decode(self, Body(text): Body<'_>) -> Result<Bytes, String> {
        match self {
            Self::Utf8 => Ok(text.into_owned().into_boxed_slice().into()),
            Self::Base64 => decode_base64(&text).map(Bytes::from),
        }
    }
}

/// How long a text is between the quotes of JSON.
fn escaped(text: &[u8]) -> usize {
    let length = |byte: &u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        ..0x20 => 6,
        _ => 1,
    };
    text.iter().map(length).sum()
}

/// The bytes that base64 stands for.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn decode_base64(body: &[u8]) -> Result<Vec<u8>, String> {
    STANDARD.decode(body).map_err(|error| {
        format!("`body` is not base64: {error}; write it as base64, or with `encoding` `utf8`")
    })
}

/// What a body is written as, without the escapes of JSON.
#[derive(Debug)]
pub(super) struct Body<'a>(Cow<'a, [u8]>);

/// By hand, as bodies that are JSON are full of escaped quotes: serde's copies what is between two of
/// them piece by piece.
impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if let Some(text) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
            if !text.contains('\\') {
                return Ok(Self(text.as_bytes().into()));
            }
            if let Some(text) = unescape(text.as_bytes()) {
                return Ok(Self(text.into()));
            }
        }
        let text: String =
            serde_json::from_str(raw).map_err(|error| Error::custom(fault(&error)))?;
        Ok(Self(text.into_bytes().into()))
    }
}

/// What the text says; none where it holds other escapes than the short ones.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut said = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        said.push(match byte {
            b'\\' => match bytes.next()? {
                escaped @ (b'"' | b'\\' | b'/') => *escaped,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, json};

    use super::*;

    #[test]
    fn a_body_says_what_serde_reads_whatever_its_escapes() {
        for text in
            ["", "plain", "{\"a\": \"\\\"\\\\\"}\r\n\t", "\u{1}\u{8}\u{c}é\u{2028}😀\"", "\\"]
        {
            let written = json!(text).to_string();
            let Body(body) = from_str(&written).unwrap();
            assert_eq!(body, text.as_bytes(), "{written}");
        }
        let Body(body) = from_str(r#""\u00e9\/\ud83d\ude00""#).unwrap();
        assert_eq!(body, "é/😀".as_bytes());
    }

    #[test]
    fn what_is_no_text_is_refused_as_serde_does() {
        for (written, reason) in [
            ("5", "invalid type: integer `5`, expected a string"),
            ("null", "invalid type: null, expected a string"),
            (r#""\ud800""#, "unexpected end of hex escape"),
            (r#""\x""#, "invalid escape"),
            ("\"\n\"", "control character"),
        ] {
            let error = from_str::<Body<'_>>(written).unwrap_err().to_string();
            assert!(error.contains(reason), "{written}: {error}");
        }
    }
}
