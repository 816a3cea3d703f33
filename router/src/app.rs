//! What every request can reach.

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::fanout::Fanout;
use crate::policy::Policy;
use crate::store::Store;
use crate::store::decisions::DecisionLog;

/// The router's parts, shared by all requests.
#[derive(Debug)]
pub(crate) struct App {
    /// The options in force. A verdict reads them here and never from the database.
    pub(crate) policy: ArcSwap<Policy>,
    /// Held while the options are changed, so that changes come one after another.
    pub(crate) changing: Mutex<()>,
    /// Changes under way, which outlive a caller that hangs up.
    pub(crate) changes: TaskTracker,
    /// Calls the models.
    pub(crate) fanout: Fanout,
    /// Keeps the decisions.
    pub(crate) decisions: DecisionLog,
    /// Keeps the options, and finds decisions again.
    pub(crate) store: Store,
}
