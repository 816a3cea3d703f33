//! Reads JSON from outside so that every refusal names the field that is wrong.

use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) use super::distinct::{Object, distinct_entries, distinct_keys, object};
use crate::problem::{Kind, Problem};

/// Reads one JSON object of a known form: 400 for what is not JSON, 422 for another form.
///
/// `source` is what the caller sent, as in "the body is not JSON".
pub(crate) fn read<T: DeserializeOwned>(text: &str, source: &str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(Object(value)) => match deserializer.end() {
            Ok(()) => Ok(value),
            Err(error) => Err(malformed(text, source, &error)),
        },
        Err(error) => Err(refusal(text, source, &error)),
    }
}

/// A form is only worth talking about once the text is JSON to its end.
fn refusal(
    text: &str,
    source: &str,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Problem {
    if let Err(syntax) = serde_json::from_str::<IgnoredAny>(text) {
        return malformed(text, source, &syntax);
    }
    let path = error.path().to_string();
    let said = say(text, error.inner());
    Problem::invalid(if path == "." { said } else { format!("{path}: {said}") })
}

fn malformed(text: &str, source: &str, error: &serde_json::Error) -> Problem {
    let said = say(text, error);
    Problem::new(Kind::Malformed, format!("the {source} is not JSON: {said}"))
}

/// The error in the words of JSON, not of Rust, and without the number of the only line.
fn say(text: &str, error: &serde_json::Error) -> String {
    let mut said = error.to_string();
    // A fault with its place in an expression needs no other.
    if said.starts_with("column ") || said.starts_with("line ") {
        let place = format!(" at line {} column {}", error.line(), error.column());
        said.truncate(said.strip_suffix(&place).map_or(said.len(), str::len));
    }
    let said = said.replace("expected f64", "expected a number");
    let said = said
        .replace("expected usize", "expected a whole number")
        .replace("expected u64", "expected a whole number");
    if text.trim_end().contains('\n') { said } else { said.replace(" line 1 column ", " column ") }
}

/// Refuses fields of the design that are not honoured yet; `*` stands for any key of an object.
pub(crate) fn refuse_unsupported(text: &str, paths: &[&str]) -> Result<(), Problem> {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return Ok(()) };
    let found = paths.iter().find_map(|path| find(&document, path, String::new()));
    found.map_or(Ok(()), |path| Err(Problem::invalid(format!("{path}: not supported yet"))))
}

/// The first place in `value` that `path` matches, written out.
fn find(value: &Value, path: &str, walked: String) -> Option<String> {
    let Some((key, rest)) = path.split_once('.').or((!path.is_empty()).then_some((path, "")))
    else {
        return Some(walked);
    };
    let fields = value.as_object()?.iter().filter(|(name, _)| key == "*" || key == *name);
    let separator = if walked.is_empty() { "" } else { "." };
    fields
        .into_iter()
        .find_map(|(name, value)| find(value, rest, format!("{walked}{separator}{name}")))
}

/// What a scope's document says about one field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Setting<T> {
    /// Nothing: the parent's value holds.
    #[default]
    Inherit,
    /// `null`: the parent's value is dropped.
    Clear,
    /// A value of its own.
    Set(T),
}

impl<T> Setting<T> {
    pub(crate) fn is_said(&self) -> bool {
        !matches!(self, Self::Inherit)
    }

    /// The value, where there is one.
    pub(crate) fn as_set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Inherit | Self::Clear => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// A number of milliseconds from 1 to 300,000 (5 minutes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "u64")]
#[schema(value_type = u64, minimum = 1, maximum = 300_000)]
pub(crate) struct Millis(pub(crate) u64);

impl TryFrom<u64> for Millis {
    type Error = &'static str;

    fn try_from(millis: u64) -> Result<Self, Self::Error> {
        match millis {
            1..=300_000 => Ok(Self(millis)),
            _ => Err("must be from 1 to 300000 milliseconds"),
        }
    }
}

impl From<Millis> for std::time::Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default)]
        _millis: Option<Millis>,
        #[serde(default)]
        _share: Option<f64>,
    }

    fn fault(text: &str) -> String {
        read::<Sample>(text, "line").unwrap_err().detail
    }

    #[test]
    fn faults_speak_of_json_and_of_what_was_sent() {
        assert_eq!(fault("{"), "the line is not JSON: EOF while parsing an object at column 1");
        assert_eq!(fault("{} x"), "the line is not JSON: trailing characters at column 4");
        assert!(fault("{\n").contains("at line 2 column 0"));
        assert_eq!(fault("[]"), "invalid type: sequence, expected an object at column 0");
        assert_eq!(fault("5"), "invalid type: integer `5`, expected an object at column 1");
        assert!(fault(r#"{"_millis": -1}"#).contains("expected a whole number"));
        assert!(fault(r#"{"_share": "x"}"#).contains("expected a number"));
    }
}
