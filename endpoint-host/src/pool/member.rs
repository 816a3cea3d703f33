//! A container that is ready.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;
use crate::memory::Usage;
use crate::reason::Reason;

/// What its pool, its keeper and its call share of a container.
#[derive(Debug)]
pub(super) struct Member {
    /// The way to it.
    pub(super) connections: Arc<Connections>,
    /// What it uses.
    pub(super) usage: Arc<Usage>,
    /// Why it is gone, once it is.
    pub(super) gone: watch::Sender<Option<Reason>>,
    /// Fires when it was found not to answer any more.
    pub(super) hung: CancellationToken,
}

impl Member {
    /// A container that answers over these connections.
    pub(super) fn new(connections: Connections, usage: &Arc<Usage>) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::new(connections),
            usage: Arc::clone(usage),
            gone: watch::Sender::new(None),
            hung: CancellationToken::new(),
        })
    }
}
