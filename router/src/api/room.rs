//! Room for the large bodies of changes, made or tried: what they may take together, and whose they are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, HttpBody};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::documents::MAX_DOCUMENT_BYTES;
use super::versions::MAX_BODY_BYTES;
use crate::access::Caller;
use crate::problem::{Kind, Problem};

/// What the bodies of changes of many documents may take together while they are read and worked
/// on; each is copied a few times on the way.
const BYTES: usize = 32 * 1024 * 1024;

/// The room that there is.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// One permit for each byte.
    bytes: Arc<Semaphore>,
    /// Those whose large body is read or worked on.
    owners: Arc<Mutex<BTreeSet<String>>>,
}

/// The room that one body has; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _bytes: OwnedSemaphorePermit,
    _owner: Option<Owner>,
}

/// An owner of keys with a large body.
#[derive(Debug)]
struct Owner {
    name: String,
    all: Arc<Mutex<BTreeSet<String>>>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self { bytes: Arc::new(Semaphore::new(BYTES)), owners: Arc::default() }
    }
}

impl Rooms {
    /// Room for a body, taken before any of it is read: callers who send slowly hold on to it, so
    /// the owner of a key has one such body at a time. One no larger than a single document's
    /// needs no room, so that small changes come through at any time.
    pub(super) fn take(&self, caller: &Caller, body: &Body) -> Result<Option<Room>, Problem> {
        // A body that does not say how large it is may become as large as any.
        let bytes = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.unwrap_or(usize::MAX).min(MAX_BODY_BYTES);
        if bytes <= MAX_DOCUMENT_BYTES {
            return Ok(None);
        }
        let owner = match caller {
            Caller::Anonymous => None,
            Caller::Key(key) => Some(self.owner(key.owner())?),
        };
        let bytes = u32::try_from(bytes).expect("no body is as large as 4 GiB");
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes);
        let bytes = bytes.map_err(|_| {
            busy("as many large changes are being made as the router takes; try again later")
        })?;
        Ok(Some(Room { _bytes: bytes, _owner: owner }))
    }

    fn owner(&self, name: &str) -> Result<Owner, Problem> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if !owners.insert(name.to_owned()) {
            return Err(busy(
                "another large change with a key of the same owner is being made or tried; try again \
                 later",
            ));
        }
        Ok(Owner { name: name.to_owned(), all: Arc::clone(&self.owners) })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

fn busy(detail: &str) -> Problem {
    Problem::new(Kind::Overloaded, detail)
}
