//! Tells distinct requests from repeated ones.

use sha2::{Digest, Sha256};

use super::Request;

/// The first half of a SHA-256 over what makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint(pub(crate) [u8; 16]);

impl Fingerprint {
    /// Model, method, path, content type, headers and body; each with its length, so that none
    /// runs into the next.
    pub(crate) fn of(model: &str, request: &Request) -> Self {
        let content_type = request.content_type.as_deref().unwrap_or_default();
        let mut hash = Sha256::new();
        let headers =
            request.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        let parts = [model, &request.method, &request.path, content_type];
        for part in parts.into_iter().chain(headers) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(&request.body);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        Self(half)
    }
}
