//! Where the scores stand in the answers of a model that has a form of its own.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::MAX_LABELS;
use crate::policy::json::distinct_keys;
use crate::policy::scope::Label;

/// The longest pointer that is taken, in bytes.
const MAX_POINTER: usize = 500;

/// For each label the place of its score, as a JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Places(Vec<(Label, Pointer)>);

impl Places {
    /// Each label with its pointer.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, pointer)| (label.as_str(), pointer.0.as_str()))
    }

    /// The labels, each once.
    pub(super) fn labels(&self) -> impl Iterator<Item = &Label> {
        self.0.iter().map(|(label, _)| label)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Written(#[serde(deserialize_with = "distinct_keys")] BTreeMap<String, Pointer>);

impl TryFrom<Written> for Places {
    type Error = String;

    fn try_from(Written(places): Written) -> Result<Self, String> {
        if !(1..=MAX_LABELS).contains(&places.len()) {
            return Err(format!("must have from 1 to {MAX_LABELS} labels"));
        }
        let place = |(label, pointer)| match Label::try_from(label) {
            Ok(label) => Ok((label, pointer)),
            Err(fault) => Err(format!("a label {fault}")),
        };
        Ok(Self(places.into_iter().map(place).collect::<Result<_, _>>()?))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(pointer: String) -> Result<Self, String> {
        if pointer.len() > MAX_POINTER {
            return Err(format!("a pointer has {MAX_POINTER} bytes at most"));
        }
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err("must be a JSON Pointer such as /predictions/0/p".to_owned());
        }
        let mut escapes = pointer.split('~').skip(1);
        if !escapes.all(|rest| rest.starts_with(['0', '1'])) {
            return Err("must write `~` as `~0`, and `/` within a name as `~1`".to_owned());
        }
        Ok(Self(pointer))
    }
}
