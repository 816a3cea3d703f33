//! Conditions on changes, so that nobody overwrites what he has not seen.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

use crate::problem::{Kind, Problem};

/// What a change demands of the document that it replaces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// `If-None-Match: *`: there is none.
    Absent,
    /// `If-Match: *`: there is one.
    Present,
    /// `If-Match: "17", …`: it came with one of these versions.
    Version(Vec<String>),
}

impl Precondition {
    /// The condition that the headers state, if they state one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        match (text(IF_MATCH), text(IF_NONE_MATCH)) {
            (None, None) => Ok(None),
            (None, Some("*")) => Ok(Some(Self::Absent)),
            (Some("*"), None) => Ok(Some(Self::Present)),
            (Some(tags), None) => {
                Ok(Some(Self::Version(tags.split(',').map(|tag| tag.trim().to_owned()).collect())))
            }
            _ => Err(Problem::new(
                Kind::Malformed,
                "send either `If-Match` or `If-None-Match: *`, not both and no other form",
            )),
        }
    }

    /// The condition that a PUT must state.
    pub(super) fn demanded(headers: &HeaderMap) -> Result<Self, Problem> {
        Self::of(headers)?.ok_or_else(|| {
            let detail = "send `If-None-Match: *` for a new document, or `If-Match` with the ETag \
                          of the one to replace";
            Problem::new(Kind::PreconditionRequired, detail)
        })
    }

    /// Compares with the version of the document that there is.
    pub(super) fn check(&self, current: Option<i64>) -> Result<(), Problem> {
        let (met, detail) = match (self, current) {
            (Self::Absent, None) | (Self::Present, Some(_)) => return Ok(()),
            (Self::Absent, Some(version)) => {
                (false, format!("it exists already, as {}", etag(version)))
            }
            (Self::Present | Self::Version(_), None) => (false, "it does not exist".to_owned()),
            (Self::Version(tags), Some(version)) => {
                (tags.contains(&etag(version)), format!("its ETag is {} by now", etag(version)))
            }
        };
        if met { Ok(()) } else { Err(Problem::new(Kind::Changed, detail)) }
    }
}

/// The ETag of a document that came with this policy version.
pub(super) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn check(header: HeaderName, value: &'static str, current: Option<i64>) -> bool {
        let headers = HeaderMap::from_iter([(header, value.parse().unwrap())]);
        Precondition::demanded(&headers).unwrap().check(current).is_ok()
    }

    #[test]
    fn a_change_applies_only_to_what_it_names() {
        assert!(check(IF_NONE_MATCH, "*", None));
        assert!(!check(IF_NONE_MATCH, "*", Some(3)));
        assert!(check(IF_MATCH, "*", Some(3)));
        assert!(!check(IF_MATCH, "*", None));
        assert!(check(IF_MATCH, "\"3\"", Some(3)));
        assert!(check(IF_MATCH, "\"2\", \"3\"", Some(3)));
        assert!(!check(IF_MATCH, "\"2\"", Some(3)));
        assert!(!check(IF_MATCH, "3", Some(3)));
        assert!(!check(IF_MATCH, "W/\"3\"", Some(3)));
    }
}
