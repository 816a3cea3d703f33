//! Connections that no call uses, kept for the next ones to the same place.
//!
//! Nothing waits for what their peers do: whether one was closed is found out before it is used
//! again, or when all are looked at now and then.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::Wire;
use super::origin::Origin;

/// How many connections to one place are kept,
const MOST_IDLE: usize = 256;
/// for how long, and at most so much longer,
pub(super) const LONGEST_IDLE: Duration = Duration::from_secs(90);
/// since they are looked at this often.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The connections kept.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    idle: HashMap<Origin, Vec<Idle>>,
    /// Whether a task looks after them.
    is_looked_after: bool,
}

#[derive(Debug)]
struct Idle {
    wire: Wire,
    since: Instant,
}

impl Pool {
    /// The connection that was used last. Its peer may have closed it meanwhile, which is found out
    /// before anything is sent.
    pub(super) fn take(&self, origin: &Origin) -> Option<Wire> {
        Some(self.lock().idle.get_mut(origin)?.pop()?.wire)
    }

    /// Keeps a connection, if it can be used again and there is room.
    pub(super) fn keep(self: &Arc<Self>, origin: &Origin, wire: Wire) {
        if !wire.is_idle() {
            return;
        }
        let mut kept = self.lock();
        let idle = kept.idle.entry(origin.clone()).or_default();
        if idle.len() < MOST_IDLE {
            idle.push(Idle { wire, since: Instant::now() });
        }
        if !mem::replace(&mut kept.is_looked_after, true) {
            tokio::spawn(look_after(Arc::downgrade(self)));
        }
    }

    /// Closes what was idle for too long or is closed already; whether there is anything left to
    /// look after.
    fn sweep(&self) -> bool {
        let mut kept = self.lock();
        let is_of_no_use =
            |idle: &mut Idle| idle.since.elapsed() >= LONGEST_IDLE || !idle.wire.check();
        for idle in kept.idle.values_mut() {
            idle.retain_mut(|idle| !is_of_no_use(idle));
        }
        kept.idle.retain(|_, idle| !idle.is_empty());
        kept.is_looked_after = !kept.idle.is_empty();
        kept.is_looked_after
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps now and then, until there is nothing left or nobody who would use it.
async fn look_after(pool: Weak<Pool>) {
    loop {
        sleep(LOOK_INTERVAL).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}
