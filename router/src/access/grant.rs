//! The scopes of a key: what it may do, and for whom.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::policy::name::Name;
use crate::policy::scope_path::ScopePath;

/// One scope of a key, as in `ingest:alehouse`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Grant {
    /// `ingest:CLIENT`: have contents moderated.
    Ingest(Reach<Name>),
    /// `read:CLIENT`: see decisions and options.
    Read(Reach<Name>),
    /// `options:SCOPE`: change the options of a scope and of those below its path.
    Options(Reach<ScopePath>),
    /// `models`: change the registrations of models.
    Models,
    /// `review:CLIENT`: decide as a person.
    Review(Reach<Name>),
    /// `admin`: make and revoke keys, and see who changed what.
    Admin,
}

/// How far a scope goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach<T> {
    /// `*`.
    All,
    /// One, by its name.
    One(T),
}

impl Reach<Name> {
    pub(crate) fn covers(&self, client: &Name) -> bool {
        match self {
            Self::All => true,
            Self::One(own) => own == client,
        }
    }
}

impl Reach<ScopePath> {
    pub(crate) fn covers(&self, path: &ScopePath) -> bool {
        match (self, path) {
            (Self::All, _) => true,
            (Self::One(ScopePath::Client(own)), ScopePath::Site(client, _)) => own == client,
            (Self::One(own), path) => own == path,
        }
    }
}

impl<T: FromStr> FromStr for Reach<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "*" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

impl<T: fmt::Display> fmt::Display for Reach<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(one) => one.fmt(f),
        }
    }
}

impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("ingest", client)) => client.parse().map(Self::Ingest),
            Some(("read", client)) => client.parse().map(Self::Read),
            Some(("options", scope)) => scope.parse().map(Self::Options),
            Some(("review", client)) => client.parse().map(Self::Review),
            None if text == "models" => Ok(Self::Models),
            None if text == "admin" => Ok(Self::Admin),
            _ => Err(format!(
                "`{}` is not a scope of keys: use ingest:CLIENT, read:CLIENT, options:SCOPE, \
                 models, review:CLIENT or admin; CLIENT and SCOPE may be *",
                text.chars().take(80).collect::<String>()
            )),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingest(client) => write!(f, "ingest:{client}"),
            Self::Read(client) => write!(f, "read:{client}"),
            Self::Options(scope) => write!(f, "options:{scope}"),
            Self::Models => f.write_str("models"),
            Self::Review(client) => write!(f, "review:{client}"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_printed_as_they_were_read() {
        for text in [
            "ingest:alehouse",
            "read:*",
            "options:*",
            "options:platform",
            "options:client/a/site/en",
            "models",
            "review:a",
            "admin",
        ] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_scopes_are_refused() {
        for text in ["", "ingest", "ingest:", "ingest:a/b", "models:*", "admin:*", "options:a", "x"]
        {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
    }

    #[test]
    fn options_reach_what_is_below_their_path_and_nothing_else() {
        let covers = |own: &str, path: &str| {
            own.parse::<Reach<ScopePath>>().unwrap().covers(&path.parse().unwrap())
        };
        for (own, path) in [
            ("*", "platform"),
            ("platform", "platform"),
            ("client/a", "client/a"),
            ("client/a", "client/a/site/en"),
            ("client/a/site/en", "client/a/site/en"),
        ] {
            assert!(covers(own, path), "{own} {path}");
        }
        for (own, path) in [
            ("platform", "client/a"),
            ("industry/beer", "client/a"),
            ("client/a", "client/ab"),
            ("client/a", "client/b/site/a"),
            ("client/a/site/en", "client/a"),
            ("client/a/site/en", "client/a/site/de"),
        ] {
            assert!(!covers(own, path), "{own} {path}");
        }
    }
}
