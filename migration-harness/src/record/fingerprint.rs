//! Tells distinct requests from repeated ones.

use sha2::{Digest, Sha256};

use super::Request;

/// Headers that an answer may depend on.
const TELLING: [&str; 4] = ["accept", "accept-language", "content-encoding", "prefer"];

/// The first half of a SHA-256 over what makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; 16]);

impl Fingerprint {
    /// Model, method, path, content type, what else of the headers an answer depends on, and body;
    /// each with its length, so that none runs into the next. Headers that differ with every call,
    /// such as request ids, would make each call a distinct request.
    pub(crate) fn of(model: &str, request: &Request) -> Self {
        let content_type = request.content_type.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        let parts = [model, &request.method, &request.path, content_type];
        for part in
            parts.into_iter().chain(TELLING.map(|name| request.header(name).unwrap_or_default()))
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(&request.body);
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
