//! Where the name of a call's model or client is to be found.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::record::Request;

/// Where a name is found, as `--model` and `--client` say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// `name:NAME`: always the same.
    As(String),
    /// `path:/x/{}`: the segment of the path that stands where the braces are.
    InPath(Vec<String>),
    /// `header:NAME`: a header of the request.
    InHeader(String),
    /// `json:/pointer`: a text or number in the request's body.
    InBody(String),
}

impl Named {
    /// The name that a request holds there.
    pub(super) fn find(&self, request: &Request) -> Option<String> {
        let name = match self {
            Self::As(name) => Some(name.clone()),
            Self::InPath(pattern) => in_path(pattern, &request.path),
            Self::InHeader(header) => header_of(request, header),
            Self::InBody(pointer) => in_body(pointer, &request.body),
        };
        name.filter(|name| !name.is_empty())
    }
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("name", name)) if !name.is_empty() => Ok(Self::As(name.to_owned())),
            Some(("path", pattern)) => {
                let segments: Vec<_> = pattern.split('/').map(str::to_owned).collect();
                let places = segments.iter().filter(|segment| *segment == "{}").count();
                match places == 1 && pattern.starts_with('/') {
                    true => Ok(Self::InPath(segments)),
                    false => Err("a path begins with / and has one segment that is {}".to_owned()),
                }
            }
            Some(("header", name)) if !name.is_empty() => {
                Ok(Self::InHeader(name.to_ascii_lowercase()))
            }
            Some(("json", pointer)) if pointer.starts_with('/') => {
                Ok(Self::InBody(pointer.to_owned()))
            }
            _ => Err("expected name:NAME, path:/x/{}, header:NAME or json:/pointer".to_owned()),
        }
    }
}

/// More segments may follow those of the pattern.
fn in_path(pattern: &[String], path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default();
    let mut segments = path.split('/');
    let mut name = None;
    for expected in pattern {
        let segment = segments.next()?;
        if expected == "{}" {
            name = percent_decode_str(segment).decode_utf8().ok();
        } else if segment != expected {
            return None;
        }
    }
    name.map(Into::into)
}

fn header_of(request: &Request, header: &str) -> Option<String> {
    match header {
        "content-type" => request.content_type.clone(),
        _ => request.headers.get(header).cloned(),
    }
}

fn in_body(pointer: &str, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match body.pointer(pointer)? {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(from: &str) -> Option<String> {
        let request = Request {
            method: "POST".to_owned(),
            path: "/score/sp%2Fam/x?a=/b".to_owned(),
            content_type: None,
            headers: [("x-client".to_owned(), "alehouse".to_owned())].into(),
            body: r#"{"site": {"id": 7, "name": ""}}"#.into(),
        };
        from.parse::<Named>().unwrap().find(&request)
    }

    #[test]
    fn a_name_is_found_in_each_part_of_a_request() {
        assert_eq!(find("name:spam").unwrap(), "spam");
        assert_eq!(find("path:/score/{}").unwrap(), "sp/am");
        assert_eq!(find("header:X-Client").unwrap(), "alehouse");
        assert_eq!(find("json:/site/id").unwrap(), "7");
        for absent in ["path:/other/{}", "path:/score/y/z/{}", "header:x", "json:/site/name"] {
            assert_eq!(find(absent), None, "{absent}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for bad in ["spam", "path:/x", "path:x/{}", "path:/{}/{}", "json:x", "name:", "header:"] {
            assert!(bad.parse::<Named>().is_err(), "{bad}");
        }
    }
}
