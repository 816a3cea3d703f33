//! Tells distinct requests from repeated ones.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Request;
use crate::record;

/// Headers that an answer may depend on.
const TELLING: [&str; 4] = ["accept", "accept-language", "content-encoding", "prefer"];

/// What all of a request but its body takes, mostly.
const HEAD_BYTES: usize = 256;

/// What makes a request, wherever it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The HTTP method.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// The `Content-Type` header, where there was one.
    pub(crate) content_type: Option<&'a str>,
    /// The other headers that were captured.
    pub(crate) headers: &'a BTreeMap<String, String>,
    /// The body, verbatim.
    pub(crate) body: &'a [u8],
}

/// The first half of a SHA-256 over what makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; 16]);

impl Fingerprint {
    /// The fingerprint of a request to a model.
    pub(crate) fn of(model: &str, request: &Request) -> Self {
        let Request { method, path, content_type, headers, body } = request;
        let content_type = content_type.as_deref();
        Self::of_parts(model, Parts { method, path, content_type, headers, body })
    }

    /// Model, method, path, content type, what else of the headers an answer depends on, and body;
    /// each with its length, so that none runs into the next. Headers that differ with every call,
    /// such as request ids, would make each call a distinct request.
    pub(crate) fn of_parts(model: &str, parts: Parts<'_>) -> Self {
        let Parts { method, path, content_type, headers, body } = parts;
        let named = [model, method, path, content_type.unwrap_or_default()];
        let telling = TELLING.map(|name| record::header(headers, name).unwrap_or_default());
        // Hashed at once, which is quicker than part by part.
        let mut head = Vec::with_capacity(HEAD_BYTES);
        for part in named.into_iter().chain(telling) {
            head.extend((part.len() as u64).to_le_bytes());
            head.extend(part.as_bytes());
        }
        let mut hash = Sha256::new();
        hash.update(&head);
        hash.update(body);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    #[test]
    fn what_differs_with_every_call_makes_no_request_distinct() {
        let of = |headers: &[(&str, &str)]| {
            let mut request = record("1", "spam", "a", "x").request;
            let owned = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            request.headers = owned.collect();
            Fingerprint::of("spam", &request)
        };
        assert_eq!(of(&[("x-request-id", "1")]), of(&[("x-request-id", "2")]));
        assert_ne!(of(&[("Accept", "text/csv")]), of(&[]));
        assert_ne!(of(&[("accept", "gzip")]), of(&[("content-encoding", "gzip")]));
    }
}
