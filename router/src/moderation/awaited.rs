//! What goes on after callers were answered: verdicts that they will fetch, and those made anew.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::policy::name::Name;

/// Whose verdicts were promised and are not stored yet, by their ids.
type Promises = Arc<Mutex<HashMap<Uuid, Name>>>;

/// The tasks that no caller waits for.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    promises: Promises,
    tasks: TaskTracker,
}

impl Awaited {
    /// Has a promised verdict made and stored, which `making` has done if it says so.
    pub(crate) fn promise(
        &self,
        decision_id: Uuid,
        client: Name,
        making: impl Future<Output = bool> + Send + 'static,
    ) {
        lock(&self.promises).insert(decision_id, client);
        let promise = Promise { decision_id, all: Arc::clone(&self.promises), is_kept: false };
        self.tasks.spawn(async move {
            // All of it goes with the task, not the flag alone.
            let mut promise = promise;
            promise.is_kept = making.await;
        });
    }

    /// Has something else done, which the router waits for before it stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Whose verdict is being made under this id.
    pub(crate) fn client_of(&self, decision_id: Uuid) -> Option<Name> {
        lock(&self.promises).get(&decision_id).cloned()
    }

    /// Waits for all of them.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Says which promises are broken, as the router waits no longer.
    pub(crate) fn give_up(&self) {
        mem::take(&mut *lock(&self.promises)).into_keys().for_each(complain);
    }
}

/// A verdict that a caller will fetch; it is no longer waited for when this is dropped.
#[derive(Debug)]
struct Promise {
    decision_id: Uuid,
    all: Promises,
    is_kept: bool,
}

impl Drop for Promise {
    fn drop(&mut self) {
        let was_open = lock(&self.all).remove(&self.decision_id).is_some();
        if was_open && !self.is_kept {
            complain(self.decision_id);
        }
    }
}

fn complain(decision_id: Uuid) {
    tracing::error!(%decision_id, "a verdict that was promised (202) is lost; send it again");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_told_to_wait_for_a_verdict_whose_task_has_panicked() {
        let awaited = Awaited::default();
        let id = Uuid::now_v7();
        awaited.promise(id, "a".parse().unwrap(), async { panic!("on purpose") });
        assert_eq!(awaited.client_of(id).unwrap().as_str(), "a");
        awaited.finish().await;
        assert!(awaited.client_of(id).is_none());
    }

    #[tokio::test]
    async fn what_is_given_up_is_not_waited_for() {
        let awaited = Awaited::default();
        let id = Uuid::now_v7();
        awaited.promise(id, "a".parse().unwrap(), std::future::pending());
        awaited.give_up();
        assert!(awaited.client_of(id).is_none());
    }
}
