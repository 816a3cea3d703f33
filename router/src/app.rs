//! What every request can reach.

use std::sync::{Arc, PoisonError};

use arc_swap::ArcSwap;
use sqlx::AnyConnection;
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Keyring;
use crate::api::room::Rooms;
use crate::fanout::Fanout;
use crate::metrics::Metrics;
use crate::moderation::{Awaited, Backlog, Complaints};
use crate::outbound::Guard;
use crate::policy::Policy;
use crate::problem::{Kind, Problem};
use crate::shadow::Shadows;
use crate::store::decisions::DecisionLog;
use crate::store::{Store, unavailable};
use crate::telemetry::Traces;

/// The most contents that are in work at once; one with its body takes 1 MiB at most.
pub(crate) const CONTENTS: usize = 1024;

/// The most what-ifs that are in work at once; one keeps a processor busy.
pub(crate) const WHAT_IFS: usize = 2;

/// The most verdicts that callers will fetch once they are made,
pub(crate) const PROMISES: usize = 256;

/// and the most that wait to be made anew.
pub(crate) const AMENDMENTS: usize = 1024;

/// What the contents of either may take.
pub(crate) const BACKLOG_BYTES: usize = 64 * 1024 * 1024;

/// The router's parts, shared by all requests.
#[derive(Debug)]
pub(crate) struct App {
    /// The options in force. A verdict reads them here and never from the database.
    pub(crate) policy: ArcSwap<Policy>,
    /// Held while the options are changed, so that changes come one after another.
    pub(crate) changing: Mutex<()>,
    /// Held for the moment in which one policy takes another's place.
    pub(crate) installing: std::sync::Mutex<()>,
    /// Notified when keys may have been changed.
    pub(crate) keys_changed: Notify,
    /// Changes under way, which outlive a caller that hangs up.
    pub(crate) changes: TaskTracker,
    /// One permit for each content that may be in work.
    pub(crate) contents: Arc<Semaphore>,
    /// One permit for each what-if that may be in work.
    pub(crate) what_ifs: Semaphore,
    /// What large bodies of changes may take.
    pub(crate) rooms: Rooms,
    /// The keys in force, which say who may do what.
    pub(crate) keys: Keyring,
    /// Which addresses written into the options are called.
    pub(crate) guard: Guard,
    /// Calls the models.
    pub(crate) fanout: Arc<Fanout>,
    /// Room for the contents whose verdicts callers will fetch.
    pub(crate) promises: Backlog,
    /// Room for those whose verdicts wait to be made anew.
    pub(crate) amendments: Backlog,
    /// What is done for either.
    pub(crate) awaited: Awaited,
    /// Models that no verdict hears.
    pub(crate) shadows: Arc<Shadows>,
    /// Keeps the decisions.
    pub(crate) decisions: DecisionLog,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Where traces go, if anywhere.
    pub(crate) traces: Option<Traces>,
    /// Which expressions that can't be evaluated were complained of.
    pub(crate) complaints: Complaints,
    /// Keeps the options, and finds decisions again.
    pub(crate) store: Store,
    /// Cancelled when no more contents are to be taken up.
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// Puts in force what was made of the policy `base`, unless another has taken its place
    /// meanwhile: that was made of a later look at the database.
    pub(crate) fn install(&self, base: &Arc<Policy>, policy: Policy) {
        let _installing = self.installing.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(base, &self.policy.load()) {
            self.fanout.follow(&policy);
            self.shadows.follow(&policy);
            self.metrics.installed(policy.version);
            self.metrics.follow(&policy);
            self.policy.store(Arc::new(policy));
        }
    }

    /// Puts in force what other routers have stored.
    pub(crate) async fn catch_up(&self) -> Result<(), Problem> {
        let known = self.policy.load_full();
        let news = self.store.news(&known).await.map_err(|error| unavailable(&error))?;
        self.install_news(&known, news)
    }

    /// The same over a connection of one's own; the outer error is the database's.
    pub(crate) async fn follow(
        &self,
        database: &mut AnyConnection,
    ) -> Result<Result<(), Problem>, sqlx::Error> {
        let known = self.policy.load_full();
        let news = self.store.catch_up(database, &known).await?;
        Ok(self.install_news(&known, news))
    }

    fn install_news(
        &self,
        known: &Arc<Policy>,
        news: Option<Result<Policy, Problem>>,
    ) -> Result<(), Problem> {
        let Some(policy) = news else { return Ok(()) };
        let policy = policy.map_err(|problem| {
            let detail = format!(
                "another process has stored options that this router cannot use: {}; if it is \
                 newer, update this router, else restore a backup and restart it",
                problem.detail
            );
            Problem::new(Kind::OptionsUnreadable, detail)
        })?;
        tracing::info!(from = known.version, to = policy.version, "options of another router");
        self.install(known, policy);
        Ok(())
    }
}
