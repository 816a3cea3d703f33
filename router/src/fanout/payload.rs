//! What models are sent, and how one payload is told from another without keeping it.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::moderation::Content;
use crate::policy::model::{ModelDocument, Sending};
use crate::policy::name::Name;

/// What one model is sent.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) body: Bytes,
    pub(super) hash: PayloadHash,
}

/// Names a payload; without the key nobody can tell whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PayloadHash([u8; 16]);

/// Hashes payloads with a key of this process.
#[derive(Clone)]
pub(super) struct Hasher(Sha256);

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    /// One with a new key.
    pub(super) fn new() -> Self {
        let mut key = [0; 64];
        getrandom::fill(&mut key).expect("the system has random bytes");
        Self(Sha256::new_with_prefix(key))
    }

    fn hash(&self, body: &[u8]) -> PayloadHash {
        PayloadHash::first_half(self.0.clone().chain_update(body))
    }

    /// The same for a model of which other scores are read in the same answer.
    fn rehash(&self, PayloadHash(hash): PayloadHash, document: &ModelDocument) -> PayloadHash {
        let mut hasher = self.0.clone().chain_update(hash);
        let mut add = |text: &str| {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text);
        };
        match (&document.scores, &document.labels) {
            (Some(places), _) => places.iter().for_each(|(label, place)| {
                add(label);
                add(place);
            }),
            (None, Some(labels)) => labels.iter().for_each(add),
            (None, None) => {}
        }
        PayloadHash::first_half(hasher)
    }
}

impl PayloadHash {
    /// A part of it, which is as good where two may have the same.
    pub(super) fn word(self) -> u64 {
        let (word, _) = self.0.split_first_chunk().expect("a hash has 16 bytes");
        u64::from_le_bytes(*word)
    }

    fn first_half(hasher: Sha256) -> Self {
        let digest = hasher.finalize();
        let (half, _) = digest.split_first_chunk().expect("SHA-256 has 32 bytes");
        Self(*half)
    }
}

/// The payloads for the models of a plan, each built when first needed.
#[derive(Debug)]
pub(crate) struct Payloads<'a> {
    content: &'a Content,
    built: Vec<(Sending, Payload)>,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(content: &'a Content) -> Self {
        Self { content, built: Vec::new() }
    }

    /// Whose content it is.
    pub(super) fn client(&self) -> &Name {
        &self.content.client
    }

    /// What a model that is registered so is sent.
    pub(super) fn of(&mut self, document: &ModelDocument, hasher: &Hasher) -> Payload {
        let payload = self.sent(document.sending(), hasher);
        if document.scores.is_none() && document.protocol.is_none() {
            return payload;
        }
        Payload { hash: hasher.rehash(payload.hash, document), ..payload }
    }

    fn sent(&mut self, sending: Sending, hasher: &Hasher) -> Payload {
        if let Some((_, payload)) = self.built.iter().find(|(known, _)| *known == sending) {
            return payload.clone();
        }
        let body = self.content.payload(&sending);
        let payload = Payload { hash: hasher.hash(&body), body };
        self.built.push((sending, payload.clone()));
        payload
    }
}

#[cfg(test)]
impl PayloadHash {
    pub(super) fn of_test(n: u32) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_payload_has_another_hash_where_other_scores_are_read_in_its_answer() {
        let text = r#"{"client": "a", "content_id": "r-1", "fields": {"text": "hi"}}"#;
        let content = Content::parse(text, "body").unwrap();
        let (hasher, mut payloads) = (Hasher::new(), Payloads::new(&content));
        let mut hash = |rest: &str| {
            let text = format!(r#"{{"endpoint": {{"sagemaker": "a"}}{rest}}}"#);
            payloads.of(&ModelDocument::parse(&text).unwrap(), &hasher).hash
        };
        let all = [
            "",
            r#", "scores": {"a": "/b"}"#,
            r#", "scores": {"a": "/c"}"#,
            r#", "protocol": "v2""#,
            r#", "protocol": "v2", "labels": ["a", "b"]"#,
            r#", "protocol": "v2", "labels": ["b", "a"]"#,
            r#", "protocol": "v2", "labels": ["ab"]"#,
            r#", "fields": ["x"]"#,
        ];
        let hashes = all.map(&mut hash);
        assert_eq!(hashes, all.map(&mut hash));
        let differ = |index: usize| !hashes[..index].contains(&hashes[index]);
        assert!((0..all.len()).all(differ), "{hashes:?}");
        assert_eq!(hash(""), hash(r#", "labels": ["a"]"#));
        assert_eq!(payloads.built.len(), 3);
    }

    #[test]
    fn equal_payloads_have_one_hash_in_one_process_and_another_elsewhere() {
        let (here, elsewhere) = (Hasher::new(), Hasher::new());
        assert_eq!(here.hash(b"a"), here.clone().hash(b"a"));
        assert_ne!(here.hash(b"a"), here.hash(b"b"));
        assert_ne!(here.hash(b"a"), elsewhere.hash(b"a"));
    }
}
