//! Room for contents that no caller waits for: so many of them, and so many bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often a content is there, about: its text, what was read from it, and the row to store.
const COPIES: usize = 3;

/// The room that there is, one permit for each byte.
#[derive(Debug)]
pub(crate) struct Backlog {
    bytes: Arc<Semaphore>,
    /// What a content takes at least, so that there are not too many of them.
    least: usize,
}

impl Backlog {
    /// Room for so many contents at most, which take so many bytes together at most.
    pub(crate) fn new(contents: usize, bytes: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes)), least: bytes / contents }
    }

    /// Room for a content of this text until it is dropped; none where there is not enough.
    pub(crate) fn admit(&self, text: &str) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(self.least.max(COPIES * text.len())).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_contents_are_bounded_in_number_and_large_ones_in_bytes() {
        let backlog = Backlog::new(4, 4000);
        let mut small: Vec<_> = (0..4).map(|_| backlog.admit("text").unwrap()).collect();
        assert!(backlog.admit("text").is_none());
        small.truncate(2);
        assert!(backlog.admit(&"x".repeat(700)).is_none());
        let large = backlog.admit(&"x".repeat(600)).unwrap();
        assert!(backlog.admit("text").is_none());
        drop((small, large));
        assert!(backlog.admit(&"x".repeat(1333)).is_some());
        assert!(backlog.admit(&"x".repeat(usize::from(u16::MAX))).is_none());
    }
}
