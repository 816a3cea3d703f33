//! Reads bodies as JSON values without losing what makes two of them differ.

use std::borrow::Cow;

use serde_json::Value;

/// Stands before an integer that is kept as text, to tell it from the strings of a body.
const LONG_INTEGER: &str = "\u{0}integer ";

/// How a body is to be understood, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON value.
    Json,
    /// JSON values, one a line.
    Lines,
    /// Anything else.
    Text,
}

impl Form {
    /// The form of a media type in lower case, without parameters.
    pub(crate) fn of(media_type: &str) -> Self {
        match media_type {
            "application/json" => Self::Json,
            "application/jsonlines" | "application/x-ndjson" => Self::Lines,
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// The value that the bytes hold, if they are JSON.
///
/// An integer beyond 64 bits becomes a string of its own kind: as a double, it would equal its
/// neighbours.
pub(crate) fn parse(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    serde_json::from_str(&keep_long_integers(text)).ok()
}

fn keep_long_integers(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut copied = 0;
    for (start, end) in numbers(text) {
        let number = &text[start..end];
        if number.parse::<i64>().is_err() && number.parse::<u64>().is_err() && is_integer(number) {
            let quoted = Value::from(format!("{LONG_INTEGER}{number}")).to_string();
            kept.push_str(&text[copied..start]);
            kept.push_str(&quoted);
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[copied..]);
    Cow::Owned(kept)
}

/// Whether JSON would take it as an integer; what it would refuse is left for it to refuse.
fn is_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() > 1 && !digits.starts_with('0')
}

/// Where the text's numbers stand, outside of strings.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = number_end(bytes, at);
                found.push((at, end));
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + bytes[start..].iter().take_while(|byte| part(byte)).count()
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(left: &str, right: &str) -> bool {
        parse(left.as_bytes()).unwrap() == parse(right.as_bytes()).unwrap()
    }

    #[test]
    fn integers_beyond_64_bits_keep_every_digit() {
        assert!(!equal("[18446744073709551616]", "[18446744073709551617]"));
        assert!(!equal("-9223372036854775809", "-9223372036854775810"));
        assert!(equal(r#"{"a": 18446744073709551617}"#, r#"{"a":18446744073709551617}"#));
        assert!(!equal("18446744073709551617", r#""18446744073709551617""#));
    }

    #[test]
    fn digits_inside_strings_stay_text() {
        let text = r#"{"a\"18446744073709551617": "18446744073709551617 \\"}"#;
        assert!(matches!(keep_long_integers(text), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_not_json_has_no_value() {
        for bad in ["{", "018446744073709551617", "[1e999]", "\"a", "\"\\", "", "1 2", "-"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"\xff"), None);
    }

    #[test]
    fn media_types_have_their_forms() {
        assert_eq!(Form::of("application/problem+json"), Form::Json);
        assert_eq!(Form::of("application/x-ndjson"), Form::Lines);
        assert_eq!(Form::of("text/plain"), Form::Text);
    }
}
