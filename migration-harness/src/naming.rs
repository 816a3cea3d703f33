//! Where the name of a model or client stands in a request.

use std::str::FromStr;

use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderName};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::header;
use crate::record::Request;

/// What stands for the name in a path.
const PLACE: &str = "{}";

/// A source of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Naming {
    /// A segment of the path, which must begin as the segments before it.
    Path {
        /// The segments before the name.
        before: Vec<String>,
        /// The segments behind it.
        behind: Vec<String>,
    },
    /// A header.
    Header(HeaderName),
    /// A member of the body, by JSON pointer.
    Json(String),
    /// One name for all.
    Constant(String),
}

impl FromStr for Naming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "must be `path:/x/{}`, `header:NAME`, `json:/pointer` or `name:NAME`";
        let Some((kind, rest)) = text.split_once(':') else {
            return Err(format!("`{text}` {usage}"));
        };
        match kind {
            "path" => path(rest),
            "header" => header::recordable(rest).map(Self::Header),
            "json" if rest.starts_with('/') => Ok(Self::Json(rest.to_owned())),
            "json" => Err(format!("JSON pointer `{rest}` must begin with a slash")),
            "name" if rest.is_empty() => Err("`name:` must be followed by a name".to_owned()),
            "name" => Ok(Self::Constant(rest.to_owned())),
            _ => Err(format!("`{text}` {usage}")),
        }
    }
}

fn path(pattern: &str) -> Result<Naming, String> {
    let segments: Option<Vec<_>> =
        pattern.strip_prefix('/').map(|rest| rest.split('/').map(str::to_owned).collect());
    let refuse = || format!("path `{pattern}` must begin with a slash and hold one segment `{{}}`");
    let segments = segments.ok_or_else(refuse)?;
    if segments.iter().filter(|segment| segment.contains(['{', '}'])).count() != 1 {
        return Err(refuse());
    }
    let at = segments.iter().position(|segment| segment == PLACE).ok_or_else(refuse)?;
    let (before, behind) = (segments[..at].to_vec(), segments[at + 1..].to_vec());
    Ok(Naming::Path { before, behind })
}

impl Naming {
    /// The header that holds the name, where one does.
    pub(crate) fn header(&self, headers: &HeaderMap) -> Option<String> {
        match self {
            Self::Header(name) => header::text(headers, name),
            _ => None,
        }
    }

    /// The name that a request with all of its headers holds.
    pub(crate) fn of(&self, request: &Request) -> Option<String> {
        let header = match self {
            Self::Header(name) if *name == CONTENT_TYPE => request.content_type.clone(),
            Self::Header(name) => request.header(name.as_str()).map(str::to_owned),
            _ => None,
        };
        self.name(header, request).filter(|name| !name.is_empty())
    }

    /// The name, given the header that was kept.
    pub(crate) fn name(&self, header: Option<String>, request: &Request) -> Option<String> {
        match self {
            Self::Header(_) => header,
            Self::Constant(name) => Some(name.clone()),
            Self::Path { before, behind } => segment(&request.path, before, behind),
            Self::Json(pointer) => {
                let body: Value = serde_json::from_slice(&request.body).ok()?;
                match body.pointer(pointer)? {
                    Value::String(name) => Some(name.clone()),
                    Value::Number(name) => Some(name.to_string()),
                    _ => None,
                }
            }
        }
    }
}

/// The segment between the two, whatever comes after them.
fn segment(path: &str, before: &[String], behind: &[String]) -> Option<String> {
    let path = path.split('?').next()?.strip_prefix('/')?;
    let mut segments = path.split('/');
    let follow = |segments: &mut std::str::Split<'_, char>, expected: &[String]| {
        expected.iter().all(|expected| segments.next() == Some(expected.as_str()))
    };
    follow(&mut segments, before).then_some(())?;
    let name = segments.next()?;
    follow(&mut segments, behind).then_some(())?;
    Some(percent_decode_str(name).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(naming: &str, path: &str, body: &'static str) -> Option<String> {
        let naming: Naming = naming.parse().unwrap();
        let request = Request { path: path.to_owned(), body: body.into(), ..Request::default() };
        naming.name(None, &request)
    }

    #[test]
    fn a_segment_of_the_path_is_a_name() {
        for (pattern, path, expected) in [
            ("path:/score/{}", "/score/spam", Some("spam")),
            ("path:/score/{}", "/score/sp%20am/more?x=/y", Some("sp am")),
            ("path:/{}/invocations", "/spam/invocations?a", Some("spam")),
            ("path:/{}/invocations", "/spam/ping", None),
            ("path:/score/{}", "/score", None),
            ("path:/score/{}", "/scores/spam", None),
        ] {
            assert_eq!(name(pattern, path, "").as_deref(), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_member_of_the_body_is_a_name() {
        let body = r#"{"a": {"b": "spam", "n": 7, "o": {}}}"#;
        assert_eq!(name("json:/a/b", "/", body).as_deref(), Some("spam"));
        assert_eq!(name("json:/a/n", "/", body).as_deref(), Some("7"));
        assert_eq!(name("json:/a/o", "/", body), None);
        assert_eq!(name("json:/a/b", "/", "{"), None);
        assert_eq!(name("name:spam", "/", "").as_deref(), Some("spam"));
    }

    #[test]
    fn a_header_of_a_whole_request_is_a_name_and_an_empty_one_is_none() {
        let headers = [("X-Client".to_owned(), "alehouse".to_owned())].into();
        let content_type = Some("text/plain".to_owned());
        let body = r#"{"name": ""}"#.into();
        let request = Request { headers, content_type, body, ..Request::default() };
        let name = |naming: &str| naming.parse::<Naming>().unwrap().of(&request);
        assert_eq!(name("header:x-client").as_deref(), Some("alehouse"));
        assert_eq!(name("header:content-type").as_deref(), Some("text/plain"));
        assert_eq!((name("header:x-site"), name("json:/name")), (None, None));
    }

    #[test]
    fn other_sources_are_refused_with_what_would_do() {
        for bad in
            ["spam", "path:/x", "path:{}", "path:/{}/{}", "path:/a{}", "json:a", "name:", "x:y"]
        {
            assert!(bad.parse::<Naming>().is_err(), "{bad}");
        }
        assert!("header:Cookie".parse::<Naming>().unwrap_err().contains("never recorded"));
    }
}
