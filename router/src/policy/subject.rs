//! What a document is about: a model or a scope.

use std::fmt;
use std::str::FromStr;

use super::name::Name;
use super::scope_path::ScopePath;
use crate::problem::Kind;

/// A document's place in the API and its key in the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// `models/NAME`.
    Model(Name),
    /// `scopes/PATH`.
    Scope(ScopePath),
}

impl Subject {
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
            _ => Err(format!("`{text}` is neither a model nor a scope")),
        }
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
