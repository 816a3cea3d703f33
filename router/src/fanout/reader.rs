//! Reads the bytes that a model answers; whatever they are, what comes of it is scores or a fault
//! that quotes nothing of them.

mod outputs;
mod plain;
mod score;
mod scores;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::policy::distinct::{Object, distinct_keys};
use score::Score;
pub(crate) use scores::Scores;

/// The largest answer that is read. Scores and evidence take some kilobytes.
pub(super) const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How an answer says its scores.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    /// By label in `scores`, as our own container does.
    Own,
    /// In tensors of the Open Inference Protocol. These are the model's labels, as far as they are
    /// known, in the order of the scores that have no names.
    Tensors(Vec<&'a str>),
    /// Each label's at a place of its own, a JSON Pointer.
    Places(Vec<(&'a str, &'a str)>),
}

/// What an answer says.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    /// The model's version, where the answer names it.
    pub(crate) version: Option<Arc<str>>,
    /// The model's digest, where the answer names it.
    pub(crate) digest: Option<String>,
    /// What it says of labels.
    pub(crate) scores: Scores,
}

impl Form<'_> {
    /// What an answer of this form says.
    pub(crate) fn read(&self, body: &[u8]) -> Result<Reading, String> {
        check_start(body)?;
        match self {
            Self::Own => {
                let plain = plain::read(body);
                let is_right = |plain: &Reading| read_own(body).as_ref() == Ok(plain);
                debug_assert!(plain.as_ref().is_none_or(is_right), "not what the parser reads");
                plain.map_or_else(|| read_own(body), Ok)
            }
            Self::Tensors(labels) => {
                read_other(body, |answer| outputs::scores(&answer["outputs"], labels))
            }
            Self::Places(places) => read_other(body, |answer| Ok(at(places, answer))),
        }
    }
}

/// An answer in our own form; what no verdict needs may be anything.
#[derive(Deserialize)]
struct Own {
    #[serde(deserialize_with = "distinct_keys")]
    scores: BTreeMap<String, Score>,
    #[serde(default)]
    model: Value,
    #[serde(default)]
    error: Value,
}

fn read_own(body: &[u8]) -> Result<Reading, String> {
    let Object(Own { scores, model, error }) = parse(body)?;
    refuse_error(&error)?;
    let scores = scores.into_iter().map(|(label, Score(score))| (label, score)).collect();
    Ok(Reading { version: version(&model["version"]), digest: text(&model["digest"]), scores })
}

fn read_other(
    body: &[u8],
    scores: impl FnOnce(&Value) -> Result<Scores, String>,
) -> Result<Reading, String> {
    let answer: Value = parse(body)?;
    refuse_error(&answer["error"])?;
    let model = &answer["model"];
    let version = version(&model["version"]).or_else(|| version(&answer["model_version"]));
    Ok(Reading { version, digest: text(&model["digest"]), scores: scores(&answer)? })
}

/// The scores that stand where they should.
fn at(places: &[(&str, &str)], answer: &Value) -> Scores {
    let score =
        |(label, place): &(&str, &str)| Some(((*label).to_owned(), valid(answer.pointer(place)?)));
    places.iter().filter_map(score).collect()
}

/// Says what bytes are that can be no answer, where the parser would only say that they are none.
fn check_start(body: &[u8]) -> Result<(), &'static str> {
    match body.trim_ascii_start() {
        [] => Err("the answer is empty"),
        [b'<', ..] => Err("the answer is HTML or XML, not JSON"),
        [0x1f, 0x8b, ..] => Err("the answer is compressed, which was not asked for"),
        _ => Ok(()),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // The parser's own message may quote the body, which must not reach the log.
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("at line {} column {}", error.line(), error.column());
        if error.is_eof() {
            return format!("the answer ends in the middle, {place}");
        }
        format!("not an answer of scores, {place}")
    })
}

/// An answer that tells of an error is none, whatever it says besides.
fn refuse_error(error: &Value) -> Result<(), String> {
    let is_none = match error {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(code) => code.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    };
    if is_none { Ok(()) } else { Err("the answer tells of an error".to_owned()) }
}

fn valid(score: &Value) -> Option<f64> {
    Score::of(score.as_f64()?).0
}

fn version(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(version) => Some(version.as_str().into()),
        Value::Number(version) => Some(version.to_string().into()),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
