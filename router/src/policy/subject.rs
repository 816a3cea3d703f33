//! What a document is about: a model or a scope.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::model::ModelDocument;
use super::name::Name;
use super::scope::ScopeDocument;
use super::scope_path::ScopePath;
use crate::problem::{Kind, Problem};

/// A document's place in the API and its key in the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Subject {
    /// `models/NAME`.
    Model(Name),
    /// `scopes/PATH`.
    Scope(ScopePath),
}

impl Subject {
    /// Refuses a text that is no document of this kind, by itself.
    pub(crate) fn check(&self, text: &str) -> Result<(), Problem> {
        let read = match self {
            Self::Model(_) => ModelDocument::parse(text).map(drop),
            Self::Scope(_) => ScopeDocument::parse(text).map(drop),
        };
        read.map_err(|problem| problem.about(self))
    }

    /// Its path, if it is a scope.
    pub(crate) fn as_scope(&self) -> Option<&ScopePath> {
        match self {
            Self::Scope(path) => Some(path),
            Self::Model(_) => None,
        }
    }

    /// The refusal for a document of this kind that does not exist.
    pub(crate) fn unknown(&self) -> Kind {
        match self {
            Self::Model(_) => Kind::UnknownModel,
            Self::Scope(_) => Kind::UnknownScope,
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some(("models", name)) => Ok(Self::Model(name.parse()?)),
            Some(("scopes", path)) => Ok(Self::Scope(path.parse()?)),
            _ => Err(format!(
                "`{}` is neither models/NAME nor scopes/PATH",
                text.chars().take(200).collect::<String>()
            )),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(name) => write!(f, "models/{name}"),
            Self::Scope(path) => write!(f, "scopes/{path}"),
        }
    }
}
