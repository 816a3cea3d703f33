//! Calls in flight, and the container that they are sent to.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Phase, Slot};
use crate::connections::Connections;
use crate::reason::Reason;

/// A call in flight, which keeps the container from being stopped.
pub(crate) struct Call {
    /// Where it counts.
    pub(super) slot: Arc<Slot>,
}

/// A container that is ready for a call.
pub(crate) struct Running {
    /// The way to it.
    pub(crate) connections: Arc<Connections>,
    /// What becomes of it.
    phase: watch::Receiver<Phase>,
    /// Tells its keeper to replace it.
    hung: CancellationToken,
}

impl Call {
    /// The endpoint that is called.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// The container, once it is ready; several calls wait for the same start.
    pub(crate) async fn container(&self) -> Result<Running, Reason> {
        let mut process = self.slot.process()?;
        let settled = process.phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await;
        match settled.map(|phase| phase.clone()) {
            Ok(Phase::Ready(connections)) => {
                Ok(Running { connections, phase: process.phase, hung: process.hung })
            }
            Ok(Phase::Ended(reason)) => Err(reason),
            Ok(Phase::Starting) | Err(_) => Err(Reason::closed()),
        }
    }

    /// Has a container that missed a call replaced if it misses a ping as well. Nobody waits for
    /// that, but the call counts until it is known.
    pub(crate) fn doubt(self, running: Running) {
        self.slot.tasks.clone().spawn(async move {
            if !running.connections.are_healthy().await {
                running.hung.cancel();
            }
            drop(self);
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        state.calls -= 1;
        state.idle_since = Instant::now();
    }
}

impl Running {
    /// Waits until the container is gone, and says why.
    pub(crate) async fn ended(&mut self) -> Reason {
        let gone = self.phase.wait_for(|phase| matches!(phase, Phase::Ended(_))).await;
        match gone.as_deref() {
            Ok(Phase::Ended(reason)) => reason.clone(),
            Ok(Phase::Starting | Phase::Ready(_)) | Err(_) => Reason::closed(),
        }
    }
}
