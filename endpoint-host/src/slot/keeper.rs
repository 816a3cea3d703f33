//! Owns a container from its start to its end, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::{Phase, Process, Slot};
use crate::connections::Connections;
use crate::container::Container;
use crate::reason::Reason;

/// The shortest pause between two looks at whether a container is idle.
const IDLE_CHECK: Duration = Duration::from_millis(10);

impl Slot {
    /// Starts a container, publishes what becomes of it, and sees to its end.
    pub(super) async fn keep(self: Arc<Self>, process: Process, publish: watch::Sender<Phase>) {
        let number = process.number;
        let mut container = match self.spawn().await {
            Ok(container) => container,
            Err(reason) => return self.end(number, &publish, reason),
        };
        let reason = match self.ready(&mut container).await {
            Ok(connections) => {
                publish.send_replace(Phase::Ready(Arc::new(connections)));
                self.outlive(&process, &mut container).await
            }
            Err(reason) => reason,
        };
        self.end(number, &publish, reason);
        container.stop().await;
    }

    pub(super) async fn ready(&self, container: &mut Container) -> Result<Connections, Reason> {
        tokio::select! {
            ready = container.ready() => ready,
            () = self.stop.cancelled() => Err(Reason::closed()),
        }
    }

    /// Waits for the end of a ready container, whatever brings it about.
    async fn outlive(&self, process: &Process, container: &mut Container) -> Reason {
        tokio::select! {
            ended = container.exited() => {
                // Its last lines may take a moment, in which a new call must not find it.
                self.lock().withdraw(process.number);
                self.warn(container.explain("unexpectedly", ended).await)
            }
            () = process.hung.cancelled() => {
                self.warn(Reason::new("the container hung: it answered neither a call nor /ping"))
            }
            () = self.idle(process.number) => Reason::new("the container was idle"),
            () = self.stop.cancelled() => Reason::closed(),
        }
    }

    fn warn(&self, reason: Reason) -> Reason {
        tracing::warn!(endpoint = %self.launch.endpoint, "{reason}");
        reason
    }

    /// Waits until no call has come for long enough, and withdraws the container in the same
    /// breath, so that the next call starts a new one.
    async fn idle(&self, number: u64) {
        loop {
            let left = {
                let mut state = self.lock();
                let busy = state.calls > 0;
                let idle = if busy { Duration::ZERO } else { state.idle_since.elapsed() };
                if !busy && idle >= self.idle_timeout {
                    return state.withdraw(number);
                }
                self.idle_timeout.saturating_sub(idle).max(IDLE_CHECK)
            };
            sleep(left).await;
        }
    }

    /// Withdraws a container before its calls learn that it is gone, so that none asks for it again.
    fn end(&self, number: u64, publish: &watch::Sender<Phase>, reason: Reason) {
        self.lock().withdraw(number);
        publish.send_replace(Phase::Ended(reason));
    }
}
