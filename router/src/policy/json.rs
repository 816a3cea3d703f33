//! Reads JSON from outside so that every refusal names the field that is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::problem::{Kind, Problem};

/// Reads one JSON value of a known form: 400 for what is not JSON, 422 for another form.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|e| refusal(text, &e.path().to_string(), e.inner()))?;
    deserializer.end().map_err(|e| malformed(&e))?;
    Ok(value)
}

/// A form is only worth talking about once the text is JSON to its end.
fn refusal(text: &str, path: &str, error: &serde_json::Error) -> Problem {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(syntax) => malformed(&syntax),
        Ok(_) if path == "." => Problem::invalid(error.to_string()),
        Ok(_) => Problem::invalid(format!("{path}: {error}")),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Kind::Malformed, format!("the body is not JSON: {error}"))
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
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

/// Reads an object whose keys must differ; plain maps would let the last of two win unnoticed.
pub(crate) fn distinct_keys<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(DistinctKeys(PhantomData))
}

struct DistinctKeys<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for DistinctKeys<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<K>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{key}` stands twice")));
            }
            map.insert(key, entries.next_value()?);
        }
        Ok(map)
    }
}

/// A number of milliseconds from 1 to 300,000 (5 minutes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "u64")]
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
