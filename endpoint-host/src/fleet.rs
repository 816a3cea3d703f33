//! The slots of all endpoints, found by name on every call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::resource_name::ResourceName;
use crate::slot::Slot;

/// Where the containers run.
#[derive(Default)]
pub(crate) struct Fleet {
    /// Never locked across an await.
    slots: Mutex<HashMap<ResourceName, Arc<Slot>>>,
}

impl Fleet {
    /// Adds the slot of a new endpoint.
    pub(crate) fn insert(&self, name: ResourceName, slot: Arc<Slot>) {
        self.lock().insert(name, slot);
    }

    /// The slot of an endpoint.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Slot>> {
        self.lock().get(name).cloned()
    }

    /// Forgets the slot of an endpoint that failed or is deleted.
    pub(crate) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Stops every process of every endpoint, and waits for their ends side by side.
    pub(crate) async fn close(&self) {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        slots.iter().for_each(|slot| slot.close());
        for slot in slots {
            slot.closed().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResourceName, Arc<Slot>>> {
        self.slots.lock().expect("looking up a slot does not panic")
    }
}
