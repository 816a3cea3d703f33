//! Where options hang: the platform, an industry, a client, or one of a client's sites.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::name::Name;
use crate::problem::Problem;

/// The place of one scope document, written as in its URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum ScopePath {
    /// `platform`, the root.
    Platform,
    /// `industry/NAME`.
    Industry(Name),
    /// `client/NAME`.
    Client(Name),
    /// `client/NAME/site/NAME`.
    Site(Name, Name),
}

impl ScopePath {
    /// The scope that this one inherits from, given what its document says about it.
    pub(crate) fn parent(&self, declared: Option<&Self>) -> Result<Option<Self>, Problem> {
        use ScopePath::{Client, Industry, Platform, Site};
        match (self, declared) {
            (Platform, None) => Ok(None),
            (Industry(_) | Client(_), None) => Ok(Some(Platform)),
            (Site(client, _), None) => Ok(Some(Client(client.clone()))),
            (Industry(_), Some(parent @ (Platform | Industry(_)))) => Ok(Some(parent.clone())),
            (Client(_), Some(parent @ (Platform | Industry(_) | Client(_)))) => {
                Ok(Some(parent.clone()))
            }
            (Site(client, _), Some(Client(parent))) if client == parent => {
                Ok(Some(Client(parent.clone())))
            }
            (child, Some(parent)) => Err(Problem::invalid(format!(
                "parent: `{child}` cannot have the parent `{parent}`; {}",
                child.parents_allowed()
            ))),
        }
    }

    fn parents_allowed(&self) -> &'static str {
        match self {
            Self::Platform => "the platform has none",
            Self::Industry(_) => "an industry's is `platform` or another industry",
            Self::Client(_) => "a client's is `platform`, an industry or another client",
            Self::Site(..) => "a site's is always its client",
        }
    }
}

impl FromStr for ScopePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let segments: Vec<&str> = text.splitn(5, '/').collect();
        match segments[..] {
            ["platform"] => Ok(Self::Platform),
            ["industry", name] => Ok(Self::Industry(name.parse()?)),
            ["client", name] => Ok(Self::Client(name.parse()?)),
            ["client", name, "site", site] => Ok(Self::Site(name.parse()?, site.parse()?)),
            _ => Err(format!(
                "`{}` is not a scope: use platform, industry/NAME, client/NAME or \
                 client/NAME/site/NAME",
                text.chars().take(200).collect::<String>()
            )),
        }
    }
}

impl TryFrom<String> for ScopePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Industry(name) => write!(f, "industry/{name}"),
            Self::Client(name) => write!(f, "client/{name}"),
            Self::Site(client, site) => write!(f, "client/{client}/site/{site}"),
        }
    }
}

impl Serialize for ScopePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ScopePath {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_printed_as_they_were_read() {
        for text in ["platform", "industry/beer", "client/a", "client/a/site/en-GB"] {
            assert_eq!(path(text).to_string(), text);
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for text in ["", "platform/x", "industry", "client/a/site", "client/a/site/b/c", "brand/a"]
        {
            assert!(text.parse::<ScopePath>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_site_belongs_to_its_client() {
        let site = path("client/a/site/b");
        assert_eq!(site.parent(None).unwrap(), Some(path("client/a")));
        let fault = site.parent(Some(&path("client/z"))).unwrap_err().detail;
        assert!(fault.contains("`client/a/site/b`") && fault.contains("`client/z`"), "{fault}");
    }

    #[test]
    fn nothing_inherits_from_a_site() {
        for child in ["platform", "industry/beer", "client/a"] {
            assert!(path(child).parent(Some(&path("client/z/site/b"))).is_err(), "{child}");
        }
    }
}
