//! Which of the records this process replays, where a run is divided.

use std::sync::{Arc, Mutex, PoisonError};

use crate::record::Numbered;
use crate::shard::{Census, Seen, Shard};

/// A shard's part of the records. It looks at all of them, so that `merge` can tell whether all
/// shards saw the same.
#[derive(Debug, Clone)]
pub(super) struct Part {
    shard: Shard,
    census: Arc<Mutex<Census>>,
}

impl Part {
    /// The shard's part.
    pub(super) fn new(shard: Shard) -> Self {
        Self { shard, census: Arc::default() }
    }

    /// Counts a record, and says whether it belongs to the part.
    pub(super) fn takes(&self, numbered: &Numbered) -> bool {
        let mut census = self.census.lock().unwrap_or_else(PoisonError::into_inner);
        census.add(&numbered.record);
        self.shard.contains(numbered.sequence)
    }

    /// What was counted.
    pub(super) fn seen(&self) -> Seen {
        self.census.lock().unwrap_or_else(PoisonError::into_inner).clone().seen()
    }
}
