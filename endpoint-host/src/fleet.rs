//! What runs for every endpoint, found by name on every call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::timeout;

use crate::container::STOP_LIMIT;
use crate::resource_name::ResourceName;
use crate::traffic::Traffic;

/// How long everything together may take to end: as long as a container, and the calls that it
/// leaves behind.
const CLOSE_LIMIT: Duration = STOP_LIMIT.saturating_add(Duration::from_secs(5));

/// Where the containers run.
#[derive(Default)]
pub(crate) struct Fleet {
    /// Never locked across an await.
    endpoints: Mutex<HashMap<ResourceName, Lanes>>,
}

/// What runs for one endpoint.
#[derive(Default)]
struct Lanes {
    /// What answers.
    live: Option<Arc<Traffic>>,
    /// What is being tried and will answer next.
    next: Option<Arc<Traffic>>,
    /// What answered before or was tried in vain, while its processes come to their ends.
    last: Option<Arc<Traffic>>,
}

/// What answered until now, if anything did.
pub(crate) struct Before(pub(crate) Option<Arc<Traffic>>);

impl Fleet {
    /// What answers an endpoint's calls.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Traffic>> {
        self.lock().get(name)?.live.clone()
    }

    /// What answers the calls of all endpoints.
    pub(crate) fn live(&self) -> Vec<Arc<Traffic>> {
        self.lock().values().filter_map(|lanes| lanes.live.clone()).collect()
    }

    /// Puts what will answer next beside what answers.
    pub(crate) fn prepare(&self, name: &ResourceName, next: Arc<Traffic>) {
        self.lock().entry(name.clone()).or_default().next = Some(next);
    }

    /// Lets what was tried answer from now on, and gives back what answered before; `None` for an
    /// endpoint that has been taken down meanwhile.
    pub(crate) fn promote(&self, name: &str, tried: &Arc<Traffic>) -> Option<Before> {
        let mut endpoints = self.lock();
        let lanes = endpoints.get_mut(name)?;
        let next = lanes.next.take_if(|next| Arc::ptr_eq(next, tried))?;
        lanes.last = lanes.live.replace(next);
        Some(Before(lanes.last.clone()))
    }

    /// Gives up what was tried, and tells whether nobody else has: it will not answer.
    pub(crate) fn withdraw(&self, name: &str, tried: &Arc<Traffic>) -> bool {
        let mut endpoints = self.lock();
        let Some(lanes) = endpoints.get_mut(name) else {
            return false;
        };
        let next = lanes.next.take_if(|next| Arc::ptr_eq(next, tried));
        let is_given_up = next.is_some();
        lanes.last = next.or(lanes.last.take());
        is_given_up
    }

    /// Forgets what has no process any more.
    pub(crate) fn forget(&self, name: &str, gone: &Arc<Traffic>) {
        if let Some(lanes) = self.lock().get_mut(name) {
            lanes.last.take_if(|last| Arc::ptr_eq(last, gone));
        }
    }

    /// Lets `live` answer from now on: the same containers with other shares, or those of an
    /// endpoint that was in service before the host stopped.
    pub(crate) fn put(&self, name: &ResourceName, live: Arc<Traffic>) {
        self.lock().entry(name.clone()).or_default().live = Some(live);
    }

    /// Forgets an endpoint and gives back what ran for it.
    pub(crate) fn remove(&self, name: &str) -> Vec<Arc<Traffic>> {
        self.lock().remove(name).into_iter().flat_map(Lanes::all).collect()
    }

    /// Stops every process of every endpoint, and waits for their ends side by side, but no longer
    /// than they may take: what is left is killed with the host's tasks.
    pub(crate) async fn close(&self) {
        let all: Vec<_> = self.lock().drain().flat_map(|(_, lanes)| lanes.all()).collect();
        all.iter().for_each(|traffic| traffic.close());
        let closed = async {
            for traffic in all {
                traffic.closed().await;
            }
        };
        if timeout(CLOSE_LIMIT, closed).await.is_err() {
            tracing::warn!("what runs {CLOSE_LIMIT:?} after the host was told to stop is cut off");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResourceName, Lanes>> {
        self.endpoints.lock().expect("looking up an endpoint does not panic")
    }
}

impl Lanes {
    fn all(self) -> impl Iterator<Item = Arc<Traffic>> {
        self.live.into_iter().chain(self.next).chain(self.last)
    }
}
