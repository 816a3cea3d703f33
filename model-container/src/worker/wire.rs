//! The line protocol: one line of JSON a request, one a reply, matched by `id`.
//!
//! `{"id": 7, "input": {…}}` is answered by `{"id": 7, "scores": {…}}` or
//! `{"id": 7, "error": "…"}`. With `raw = true` a request is `{"id": 7, "body": "<base64>",
//! "content_type": "…", "accept": "…"}`, and `{"id": 7, "body": "<base64>", "content_type": "…"}`
//! may answer it, which goes to the client as it is.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::{Call, Reply};

/// How long a line may be: SageMaker's largest body in base64, and some room around it.
pub(super) const MAX_LINE_BYTES: usize = (25 << 20) / 3 * 4 + (64 << 10);

/// How much of a line, a label or a score is quoted.
const QUOTED_CHARS: usize = 80;
/// How much of a worker's own error is passed on.
const ERROR_CHARS: usize = 300;

/// What a worker printed on one line.
#[derive(Debug, PartialEq)]
pub(super) enum Spoken {
    /// A reply to a request; where it is not of the documented form, a sentence says why.
    Reply { id: u64, reply: Result<Reply, String> },
    /// Something else; the sentence quotes it.
    Garbage(String),
}

#[derive(Serialize)]
struct FieldsRequest<'a> {
    id: u64,
    input: &'a RawValue,
}

#[derive(Serialize)]
struct RawRequest<'a> {
    id: u64,
    body: String,
    content_type: &'a str,
    accept: &'a str,
}

#[derive(Deserialize)]
struct Line<'a> {
    id: u64,
    #[serde(borrow, default)]
    scores: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_type: Option<&'a RawValue>,
}

/// A request as a line.
pub(super) fn request(id: u64, call: &Call) -> Vec<u8> {
    let line = match call {
        Call::Fields(input) => serde_json::to_vec(&FieldsRequest { id, input }),
        Call::Raw { body, content_type, accept } => {
            let body = BASE64_STANDARD.encode(body);
            serde_json::to_vec(&RawRequest { id, body, content_type, accept })
        }
    };
    let mut line = line.expect("writing JSON into memory can't fail");
    // Inside strings JSON has them escaped; elsewhere a space means the same.
    for byte in line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    line.push(b'\n');
    line
}

/// Understands one line, which may be longer than any may be.
pub(super) fn parse(line: &[u8]) -> Spoken {
    if line.len() > MAX_LINE_BYTES {
        return garbage(line, &format!("it is longer than {MAX_LINE_BYTES} bytes"));
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return garbage(line, "it is not UTF-8");
    };
    if !text.starts_with('{') {
        return garbage(line, "it is no JSON object");
    }
    match serde_json::from_str::<Line<'_>>(text) {
        Ok(line) => Spoken::Reply { id: line.id, reply: line.reply() },
        Err(error) => match quote_constants(text) {
            Some(text) => without_constants(line, &text),
            None => garbage(line, &error.to_string()),
        },
    }
}

/// A line in which NaN and infinities, as Python and Java write them, now are strings.
fn without_constants(original: &[u8], text: &str) -> Spoken {
    match serde_json::from_str::<Line<'_>>(text) {
        Ok(line) => Spoken::Reply { id: line.id, reply: line.reply() },
        Err(error) => garbage(original, &error.to_string()),
    }
}

impl Line<'_> {
    fn reply(&self) -> Result<Reply, String> {
        match (self.scores, self.error, self.body) {
            (_, Some(error), _) => {
                let sentence = text(error).unwrap_or_else(|_| error.get().to_owned());
                Err(cut(&sentence, ERROR_CHARS))
            }
            (Some(scores), None, None) => read_scores(scores).map(Reply::Scores),
            (None, None, Some(body)) => {
                let body = text(body).map_err(|_| "its `body` is not a string")?;
                let bytes = BASE64_STANDARD.decode(body);
                let body = bytes.map_err(|error| format!("its `body` is not base64: {error}"))?;
                let content_type = self.content_type.ok_or("its `body` has no `content_type`")?;
                let content_type =
                    text(content_type).map_err(|_| "its `content_type` is not a string")?;
                Ok(Reply::Raw { content_type, body: Bytes::from(body) })
            }
            (Some(_), None, Some(_)) => Err("its reply has both `scores` and `body`".to_owned()),
            (None, None, None) => {
                Err("its reply has neither `scores` nor `body` nor `error`".to_owned())
            }
        }
    }
}

fn text(value: &RawValue) -> serde_json::Result<String> {
    serde_json::from_str(value.get())
}

/// The labels with their scores, sorted by label.
fn read_scores(scores: &RawValue) -> Result<Vec<(String, f64)>, String> {
    let scores: Map<String, Value> = serde_json::from_str(scores.get())
        .map_err(|_| "its `scores` are not an object of labels with numbers".to_owned())?;
    scores.into_iter().map(|(label, value)| finite(label, &value)).collect()
}

fn finite(label: String, value: &Value) -> Result<(String, f64), String> {
    match value.as_f64().filter(|score| score.is_finite()) {
        Some(score) => Ok((label, score)),
        None => {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let (label, value) = (quoted(&label), quoted(&value));
            Err(format!("its score of `{label}` is {value}, not a finite number"))
        }
    }
}

/// Puts `NaN`, `Infinity` and `-Infinity` outside of strings into quotes, where there are any.
fn quote_constants(text: &str) -> Option<String> {
    const CONSTANTS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut found = false;
    while let Some(first) = rest.chars().next() {
        let constant = CONSTANTS.iter().find(|constant| rest.starts_with(**constant));
        let length = match (first, constant) {
            ('"', _) => string_length(rest),
            (_, Some(constant)) => constant.len(),
            (first, None) => first.len_utf8(),
        };
        let (piece, after) = rest.split_at(length);
        if constant.is_some() {
            found = true;
            out.extend(["\"", piece, "\""]);
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    found.then_some(out)
}

/// The bytes of the JSON string at the start, with its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

fn garbage(line: &[u8], why: &str) -> Spoken {
    let start = &line[..line.len().min(QUOTED_CHARS * 4)];
    let start = quoted(&String::from_utf8_lossy(start));
    Spoken::Garbage(format!(
        "the worker printed a line on standard output that is no reply ({why}): `{start}`; \
         logs belong on standard error"
    ))
}

/// The start of a text from outside, short enough to be quoted.
pub(super) fn quoted(text: &str) -> String {
    cut(text, QUOTED_CHARS)
}

/// The start of a text from outside, on one line.
fn cut(text: &str, chars: usize) -> String {
    let mut start: String = text.chars().take(chars).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(line: &str) -> Result<Reply, String> {
        match parse(line.as_bytes()) {
            Spoken::Reply { id: 7, reply } => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_one_line_whatever_line_breaks_its_json_has() {
        let fields = "{\n \"text\":\r\n \"a\\nb\" }".to_owned();
        let call = Call::Fields(RawValue::from_string(fields).unwrap());
        let line = String::from_utf8(request(7, &call)).unwrap();
        assert_eq!(line, "{\"id\":7,\"input\":{  \"text\":   \"a\\nb\" }}\n");

        let content_type = "text/plain".to_owned();
        let call = Call::Raw { body: "hi".into(), content_type, accept: "*/*".to_owned() };
        let line = String::from_utf8(request(8, &call)).unwrap();
        let expected = r#"{"id":8,"body":"aGk=","content_type":"text/plain","accept":"*/*"}"#;
        assert_eq!(line.trim_end(), expected);
    }

    #[test]
    fn scores_keep_their_bits_and_errors_their_sentence() {
        let scores = reply(r#"{"id": 7, "scores": {"spam": 0.1, "ham": 1}, "took_ms": 3}"#);
        let expected = [("ham", 1.0), ("spam", 0.1)].map(|(label, s)| (label.to_owned(), s));
        assert_eq!(scores, Ok(Reply::Scores(expected.to_vec())));
        assert_eq!(
            reply(r#"{"id": 7, "error": "no \"such\" word"}"#),
            Err(r#"no "such" word"#.into())
        );
        let body = reply(r#"{"id": 7, "body": "aGk=", "content_type": "text/csv"}"#);
        let content_type = "text/csv".to_owned();
        assert_eq!(body, Ok(Reply::Raw { content_type, body: "hi".into() }));
    }

    #[test]
    fn a_score_that_is_no_finite_number_is_named() {
        let fault =
            |scores: &str| reply(&format!(r#"{{"id": 7, "scores": {scores}}}"#)).unwrap_err();
        let is = |what: &str| format!("its score of `spam` is {what}, not a finite number");
        assert_eq!(fault(r#"{"ham": 0.5, "spam": NaN}"#), is("NaN"));
        assert_eq!(fault(r#"{"x\"NaN": 1, "spam": -Infinity}"#), is("-Infinity"));
        assert_eq!(fault(r#"{"spam": null}"#), is("null"));
        assert_eq!(fault(r#"{"spam": "0.5"}"#), is("0.5"));
        assert_eq!(fault("[1]"), "its `scores` are not an object of labels with numbers");
    }

    #[test]
    fn a_reply_of_another_form_is_that_requests_failure() {
        assert!(reply(r#"{"id": 7}"#).unwrap_err().contains("neither `scores` nor"));
        assert!(reply(r#"{"id": 7, "scores": {}, "body": ""}"#).unwrap_err().contains("both"));
        let body = r#"{"id": 7, "body": "%%", "content_type": "text/csv"}"#;
        assert!(reply(body).unwrap_err().contains("not base64"));
        assert!(reply(r#"{"id": 7, "body": ""}"#).unwrap_err().contains("no `content_type`"));
    }

    #[test]
    fn an_endless_error_or_label_is_cut() {
        let long = "x".repeat(100_000);
        let error = reply(&format!(r#"{{"id": 7, "error": "{long}"}}"#)).unwrap_err();
        assert_eq!(error.chars().count(), ERROR_CHARS + 1);
        let scores = format!(r#"{{"id": 7, "scores": {{"{long}": null}}}}"#);
        assert!(reply(&scores).unwrap_err().len() < 200);
    }

    #[test]
    fn anything_else_is_garbage_and_quoted() {
        for line in
            ["Loading model…", "", "{", "[7]", r#"{"id": -1, "scores": {}}"#, "NaN", "\"NaN"]
        {
            let Spoken::Garbage(sentence) = parse(line.as_bytes()) else { panic!("{line}") };
            assert!(sentence.contains(line) && sentence.contains("standard error"), "{sentence}");
        }
        let Spoken::Garbage(sentence) = parse(&vec![b'x'; MAX_LINE_BYTES + 1]) else { panic!() };
        assert!(sentence.len() < 400 && sentence.contains("longer than"), "{sentence}");
        assert!(matches!(parse(b"\xff"), Spoken::Garbage(_)));
    }
}
