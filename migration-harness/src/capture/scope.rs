//! Which calls are recorded, and what of their heads.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use regex::Regex;

use super::call::{AnswerHead, Head};
use super::sample::Sample;
use crate::error::Error;
use crate::header::text;
use crate::naming::Naming;
use crate::record;

/// How long a model's or client's name may be.
const MAX_NAME_BYTES: usize = 256;

/// What is recorded.
#[derive(Debug)]
pub(crate) struct Scope {
    model: Naming,
    client: Option<Naming>,
    headers: Vec<HeaderName>,
    include: Vec<Regex>,
    sample: Sample,
}

impl Scope {
    /// `include` are globs, of which one has to match the path; none lets every path in.
    ///
    /// # Errors
    /// When a glob is longer than can be matched.
    pub(super) fn new(
        model: Naming,
        client: Option<Naming>,
        mut headers: Vec<HeaderName>,
        include: &[String],
        sample: Sample,
    ) -> Result<Self, Error> {
        // The one is part of what was asked, for models that answer in several forms; without the
        // other, nobody could tell what the bytes of a body are.
        headers.extend([ACCEPT, CONTENT_ENCODING]);
        let include = include.iter().map(|glob| self::glob(glob)).collect::<Result<_, _>>();
        Ok(Self { model, client, headers, include: include.map_err(Error::Usage)?, sample })
    }

    /// What is kept of a request's head, if the call is to be recorded as far as the head tells.
    pub(super) fn head<B>(&self, request: &Request<B>) -> Option<Head> {
        let path = request.uri().path();
        let is_included = |glob: &Regex| glob.is_match(path);
        if !(self.include.is_empty() || self.include.iter().any(is_included))
            || !self.sample.takes_call()
        {
            return None;
        }
        let headers = request.headers();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let client = self.client.as_ref().and_then(|client| client.header(headers));
        Some(Head {
            method: request.method().as_str().to_owned(),
            path: path.to_owned(),
            content_type: text(headers, &CONTENT_TYPE),
            headers: self.kept(headers),
            names: [self.model.header(headers), client],
        })
    }

    /// What is kept of an answer's head.
    pub(super) fn answer(&self, head: &hyper::http::response::Parts) -> AnswerHead {
        let (status, headers) = (head.status.as_u16(), &head.headers);
        let content_type = text(headers, &CONTENT_TYPE);
        AnswerHead { status, content_type, headers: self.kept(headers) }
    }

    /// Whether the request is drawn, with all its repetitions.
    pub(super) fn takes_request(&self, request: &record::Request) -> bool {
        self.sample.takes_request(request)
    }

    /// The names of model and client; a call without a model belongs to none.
    pub(super) fn names(
        &self,
        headers: [Option<String>; 2],
        request: &record::Request,
    ) -> Option<(String, Option<String>)> {
        let [model, client] = headers;
        let fits = |name: &String| !name.is_empty() && name.len() <= MAX_NAME_BYTES;
        let model = self.model.name(model, request).filter(fits)?;
        let client = self.client.as_ref().and_then(|naming| naming.name(client, request));
        Some((model, client.filter(fits)))
    }

    fn kept(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        let kept = |name: &HeaderName| Some((name.to_string(), text(headers, name)?));
        self.headers.iter().filter_map(kept).collect()
    }
}

fn glob(glob: &str) -> Result<Regex, String> {
    let parts: Vec<_> = glob.split('*').map(regex::escape).collect();
    let pattern = format!("(?s)^{}$", parts.join(".*"));
    Regex::new(&pattern).map_err(|error| format!("`--include {glob}` can't be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_the_rest_for_itself() {
        let glob = glob("/score/*.json").unwrap();
        assert!(glob.is_match("/score/a/b.json") && glob.is_match("/score/.json"));
        assert!(!glob.is_match("/score/a/bxjson") && !glob.is_match("/v1/score/a.json"));
    }
}
