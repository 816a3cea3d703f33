//! Calls of a URL.

use std::borrow::Cow;
use std::sync::Arc;

use http1_connection::Request;
use hyper::Uri;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::header::FixedHeaders;
use super::pattern::Pattern;
use crate::record::{self, Record};

/// What stays as it is inside a path segment.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Where a router of this project takes content, with a key.
const ROUTER_PATH: &str = "/v1/moderate";
/// Captured headers that belong to the connection of then, or are sent by other means.
const NOT_SENT: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whom connections are made to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Scheme, host and port, with an empty path.
    pub(crate) uri: Uri,
    host: HeaderValue,
}

/// A checked URL, in two parts.
#[derive(Debug)]
pub(super) struct Http {
    origin: Pattern,
    /// The origin, where it is the same for all records.
    fixed: Option<Arc<Origin>>,
    is_https: bool,
    /// None where the records' own paths are called.
    path: Option<Pattern>,
}

impl Http {
    /// Takes a URL. With a path it is used as it is, else the record's path is appended.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let authority = text.find("://").map_or(0, |at| at + 3);
        let end = text[authority..].find(['/', '?']).map_or(text.len(), |at| authority + at);
        let (origin, path) = text.split_at(end);
        if origin.contains('@') {
            return Err("a target names no user or password; use `--header-env`".to_owned());
        }
        let origin = Pattern::parse(origin)?;
        let path = if path.is_empty() || path == "/" { None } else { Some(Pattern::parse(path)?) };
        // A name that stands for any model shows whether the rest is a URL.
        Origin::parse(&origin.fixed().map_or_else(|| sample(text, end), str::to_owned))?;
        let fixed = origin.fixed().map(Origin::parse).transpose()?.map(Arc::new);
        Ok(Self { origin, fixed, is_https: text.starts_with("https:"), path })
    }

    /// Whether connections use TLS.
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whom to call for a record, and which path.
    pub(super) fn address(&self, record: &Record) -> Result<(Arc<Origin>, PathAndQuery), String> {
        let origin = match &self.fixed {
            Some(origin) => Arc::clone(origin),
            None => Arc::new(Origin::parse(&self.origin.fill(record, encode)?)?),
        };
        let path = match &self.path {
            Some(path) => Cow::from(path.fill(record, encode)?),
            None if record.request.path.starts_with('/') => Cow::from(&record.request.path),
            None => {
                let path = &record.request.path;
                return Err(format!("`path` must begin with a slash, not `{path}`"));
            }
        };
        let parsed = PathAndQuery::try_from(path.as_ref());
        let parsed = parsed.map_err(|error| format!("`{path}` is no path of a URL: {error}"))?;
        Ok((origin, parsed))
    }
}

fn sample(text: &str, end: usize) -> String {
    text[..end].replace("{model}", "model").replace("{client}", "client")
}

fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

impl Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let uri = text.parse::<Uri>().map_err(|error| format!("`{text}` is no URL: {error}"))?;
        let host = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        let host = host.ok_or_else(|| format!("`{text}` is no URL: it names no host"))?;
        Ok(Self { uri, host })
    }
}

/// The captured request, for another address.
///
/// # Errors
/// When the method or a header can't be sent.
pub(super) fn request(
    origin: &Origin,
    path: &PathAndQuery,
    captured: &record::Request,
    fixed: &FixedHeaders,
) -> Result<Request, String> {
    let method = captured.method.parse();
    let method = method.map_err(|_| format!("`{}` is no method", captured.method))?;
    let headers = headers(origin, path, captured, fixed)?;
    Ok(Request::new(method, path, &headers, captured.body.clone()))
}

fn headers(
    origin: &Origin,
    path: &PathAndQuery,
    captured: &record::Request,
    fixed: &FixedHeaders,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(captured.headers.len() + 4);
    headers.insert(HOST, origin.host.clone());
    copy_headers(&mut headers, captured)?;
    if let Some(key) = fixed.router_key().filter(|_| path.path() == ROUTER_PATH) {
        headers.insert(AUTHORIZATION, key.clone());
    }
    fixed.put_into(&mut headers);
    Ok(headers)
}

fn copy_headers(headers: &mut HeaderMap, captured: &record::Request) -> Result<(), String> {
    for (name, value) in &captured.headers {
        if !NOT_SENT.iter().any(|not_sent| name.eq_ignore_ascii_case(not_sent)) {
            let header =
                HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header"))?;
            headers.insert(header, header_value(name, value)?);
        }
    }
    if let Some(content_type) = &captured.content_type {
        headers.insert(CONTENT_TYPE, header_value("content_type", content_type)?);
    }
    Ok(())
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).map_err(|_| format!("the value of `{name}` can't be sent"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    fn filled(target: &str, client: Option<&str>) -> Result<String, String> {
        let mut record = record("id", "sp am/1", "", "x");
        record.client = client.map(str::to_owned);
        record.request.path = "/score/x?y=1".to_owned();
        let (origin, path) = Http::parse(target)?.address(&record)?;
        Ok(format!("{}{path}", origin.host.to_str().unwrap()))
    }

    #[test]
    fn a_url_without_a_path_gets_the_paths_of_the_records() {
        for target in ["http://h:1", "http://h:1/", "https://h:1"] {
            assert_eq!(filled(target, None).unwrap(), "h:1/score/x?y=1");
        }
    }

    #[test]
    fn a_url_with_a_path_is_used_as_it_is() {
        assert_eq!(filled("http://h:1/a/b", None).unwrap(), "h:1/a/b");
        assert_eq!(filled("https://[::1]/a/?b", None).unwrap(), "[::1]/a/?b");
    }

    #[test]
    fn model_and_client_are_percent_encoded_into_the_target() {
        let filled = filled("http://h:1/{client}/e/{model}/i", Some("ä&{model}")).unwrap();
        assert_eq!(filled, "h:1/%C3%A4%26%7Bmodel%7D/e/sp%20am%2F1/i");
    }

    #[test]
    fn each_client_may_have_a_host_of_its_own() {
        assert_eq!(filled("http://{client}.h:1/x", Some("a")).unwrap(), "a.h:1/x");
        assert!(filled("http://{model}.h/x", None).unwrap_err().contains("no URL"));
    }

    #[test]
    fn a_record_without_the_client_that_the_target_needs_is_refused() {
        assert!(filled("http://h:1/{client}", None).unwrap_err().contains("{client}"));
    }

    #[test]
    fn headers_of_the_captured_connection_are_not_sent_and_fixed_ones_replace_the_captured() {
        let mut record = record("id", "spam", "a", "x");
        let old = [("X-A", "1"), ("x-b", "2"), ("TE", "gzip"), ("Host", "old")];
        record.request.headers = old.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let http = Http::parse("http://h:1/v1/moderate").unwrap();
        let (origin, path) = http.address(&record).unwrap();
        let fixed = FixedHeaders::of(&["x-b: 3".to_owned()], &[], Some("key")).unwrap();
        let headers = headers(&origin, &path, &record.request, &fixed).unwrap();
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!((value("host"), value("te")), (Some("h:1"), None));
        assert_eq!((value("x-a"), value("x-b")), (Some("1"), Some("3")));
        assert_eq!(value("authorization"), Some("Bearer key"));
    }

    #[test]
    fn the_routers_key_goes_to_no_other_path() {
        let record = record("id", "spam", "a", "x");
        let (origin, path) = Http::parse("http://h:1/x").unwrap().address(&record).unwrap();
        let fixed = FixedHeaders::of(&[], &[], Some("key")).unwrap();
        let headers = headers(&origin, &path, &record.request, &fixed).unwrap();
        assert!(!headers.contains_key("authorization"));
    }
}
