//! The place of one endpoint's container: empty until a call comes, empty again when idle.

mod call;
mod keeper;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::Connections;
use crate::container::{Container, Launch};
use crate::reason::Reason;
use crate::record::Variant;
pub(crate) use call::{Call, Running};

/// Runs at most one container for an endpoint and counts the calls in flight.
pub(crate) struct Slot {
    /// What to run.
    pub(crate) launch: Launch,
    /// The variant that answers, and how many calls it takes at once.
    pub(crate) variant: Variant,
    /// Time without a call after which the container is stopped.
    idle_timeout: Duration,
    /// Set once the container has been tried with success.
    open: AtomicBool,
    /// Fires when the endpoint is deleted or the host stops.
    stop: CancellationToken,
    /// Every task that may have a process.
    pub(crate) tasks: TaskTracker,
    /// Never locked across an await.
    state: Mutex<State>,
}

/// What changes with every call.
struct State {
    /// The container that starts or runs, if any.
    process: Option<Process>,
    /// Containers started so far; tells one from the next.
    started: u64,
    /// Calls in flight.
    calls: usize,
    /// When the last call ended.
    idle_since: Instant,
}

/// The container that calls are sent to.
#[derive(Clone)]
struct Process {
    /// Its number among the containers of the slot.
    number: u64,
    /// What becomes of it.
    phase: watch::Receiver<Phase>,
    /// Fires when it was found not to answer any more.
    hung: CancellationToken,
}

/// The life of a container.
#[derive(Clone, Debug)]
enum Phase {
    /// It loads its model.
    Starting,
    /// It answers over these connections.
    Ready(Arc<Connections>),
    /// It is gone.
    Ended(Reason),
}

impl Slot {
    /// An empty slot, closed to calls until it is opened.
    pub(crate) fn new(launch: Launch, variant: Variant, idle_timeout: Duration) -> Self {
        let state = State { process: None, started: 0, calls: 0, idle_since: Instant::now() };
        Self {
            launch,
            variant,
            idle_timeout,
            open: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            state: Mutex::new(state),
        }
    }

    /// Runs a container until it is ready, stops it again, and opens the slot to calls.
    pub(crate) async fn prove(self: &Arc<Self>) -> Result<(), Reason> {
        let mut container = self.spawn().await?;
        let ready = self.ready(&mut container).await;
        container.stop().await;
        self.open.store(ready.is_ok(), Ordering::Release);
        ready.map(|_| ())
    }

    /// Whether calls are taken.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) && !self.stop.is_cancelled()
    }

    /// Counts a call in, or refuses it when `MaxConcurrency` calls are in flight.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Call> {
        let mut state = self.lock();
        if state.calls >= usize::from(self.variant.serverless_config.max_concurrency) {
            return None;
        }
        state.calls += 1;
        Some(Call { slot: Arc::clone(self) })
    }

    /// Tells the container to stop; [`Slot::closed`] waits until it has.
    pub(crate) fn close(&self) {
        // Under the lock, so that no container is started behind the back of `closed`.
        let _state = self.lock();
        self.stop.cancel();
        self.tasks.close();
    }

    /// Waits until no process is left, and removes the endpoint's folder.
    pub(crate) async fn closed(self: &Arc<Self>) {
        self.tasks.wait().await;
        let slot = Arc::clone(self);
        spawn_blocking(move || slot.launch.home.remove()).await.ok();
    }

    /// The container, started if there is none: however many calls ask, it starts once.
    fn process(self: &Arc<Self>) -> Result<Process, Reason> {
        let mut state = self.lock();
        if self.stop.is_cancelled() {
            return Err(Reason::closed());
        }
        if let Some(process) = &state.process {
            return Ok(process.clone());
        }
        state.started += 1;
        let (publish, phase) = watch::channel(Phase::Starting);
        let process = Process { number: state.started, phase, hung: CancellationToken::new() };
        state.process = Some(process.clone());
        self.tasks.spawn(Arc::clone(self).keep(process.clone(), publish));
        Ok(process)
    }

    async fn spawn(self: &Arc<Self>) -> Result<Container, Reason> {
        let slot = Arc::clone(self);
        let spawned = spawn_blocking(move || Container::spawn(&slot.launch)).await;
        spawned.unwrap_or_else(|error| Err(Reason::new(format!("starting failed: {error}"))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("counting calls does not panic")
    }
}

impl State {
    fn withdraw(&mut self, number: u64) {
        self.process.take_if(|process| process.number == number);
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[tokio::test]
    async fn a_closed_slot_starts_no_container() {
        let homes = tempfile::tempdir().unwrap();
        let slot = fixture::python_slot(homes.path());
        slot.close();
        assert!(slot.process().is_err());
        assert!(slot.tasks.is_empty());
        slot.closed().await;
    }
}
