//! Scores that are known: what a model once answered for a payload it would answer again.
//!
//! They are kept by the digest of the model and a keyed hash of the payload. Only an answer that
//! names the registered digest is kept, and used as long as the endpoint's last answer has named it:
//! nothing else says that the endpoint still serves the model that was registered.

use std::sync::Arc;

use moka::sync::Cache;

use super::answer::Answer;
use super::payload::PayloadHash;
use crate::policy::model::{Digest, Model};

/// About what the cache itself needs for an entry.
const ENTRY_BYTES: usize = 200;

/// The scores that are known.
#[derive(Debug)]
pub(super) struct Scores(Cache<(Digest, PayloadHash), Arc<Answer>>);

impl Scores {
    /// Keeps about so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        let weigh =
            |answer: &Arc<Answer>| u32::try_from(ENTRY_BYTES + answer.bytes()).unwrap_or(u32::MAX);
        let cache = Cache::builder().max_capacity(bytes).weigher(move |_, answer| weigh(answer));
        Self(cache.build())
    }

    /// What the model answers for the payload, if that is known.
    pub(super) fn find(&self, model: &Model, payload: PayloadHash) -> Option<Arc<Answer>> {
        let (digest, lane) = (model.document.digest?, model.lane.get()?);
        (lane.served() == Some(digest)).then(|| self.0.get(&(digest, payload)))?
    }

    /// Keeps an answer of the model, if it is one.
    pub(super) fn keep(&self, model: &Model, payload: PayloadHash, answer: &Arc<Answer>) {
        let is_news = model.lane.get().is_some_and(|lane| lane.serves(answer.digest));
        let Some(digest) = model.document.digest else { return };
        if answer.digest == Some(digest) {
            self.0.insert((digest, payload), Arc::clone(answer));
        } else if is_news {
            tracing::warn!(model = %model.name, "the endpoint serves another digest than registered");
        }
    }
}
