//! What every request can reach.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fanout::Fanout;
use crate::policy::Policy;
use crate::problem::{Kind, Problem};
use crate::store::decisions::DecisionLog;
use crate::store::{Store, unavailable};

/// The most contents that are in work at once; one with its body takes 1 MiB at most.
pub(crate) const CONTENTS: usize = 1024;

/// The router's parts, shared by all requests.
#[derive(Debug)]
pub(crate) struct App {
    /// The options in force. A verdict reads them here and never from the database.
    pub(crate) policy: ArcSwap<Policy>,
    /// Held while the options are changed, so that changes come one after another.
    pub(crate) changing: Mutex<()>,
    /// Changes under way, which outlive a caller that hangs up.
    pub(crate) changes: TaskTracker,
    /// One permit for each content that may be in work.
    pub(crate) contents: Arc<Semaphore>,
    /// Calls the models.
    pub(crate) fanout: Fanout,
    /// Keeps the decisions.
    pub(crate) decisions: DecisionLog,
    /// Keeps the options, and finds decisions again.
    pub(crate) store: Store,
    /// Cancelled when no more contents are to be taken up.
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// Puts `policy` in force.
    pub(crate) fn install(&self, policy: Policy) {
        self.fanout.follow(&policy);
        self.policy.store(Arc::new(policy));
    }

    /// Puts in force what another router has stored; `changing` must be held meanwhile.
    pub(crate) async fn catch_up(&self) -> Result<(), Problem> {
        let known = self.policy.load().version;
        let stored = self.store.policy_version().await.map_err(|error| unavailable(&error))?;
        if stored == known {
            return Ok(());
        }
        let policy = self.store.load_policy().await.map_err(|error| unavailable(&error))?;
        let policy = policy.map_err(|problem| {
            let detail = format!(
                "another process has stored options that this router cannot use: {}; if it is \
                 newer, update this router, else restore a backup and restart it",
                problem.detail
            );
            Problem::new(Kind::OptionsUnreadable, detail)
        })?;
        tracing::info!(from = known, to = policy.version, "options of another router in force");
        self.install(policy);
        Ok(())
    }
}
