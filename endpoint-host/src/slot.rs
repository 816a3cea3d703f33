//! The place of one endpoint's container: empty until a call comes, empty again when idle.

mod keeper;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::ContainerClient;
use crate::container::{Container, Launch};
use crate::reason::Reason;
use crate::record::Variant;

/// Runs at most one container for an endpoint and counts the calls in flight.
pub(crate) struct Slot {
    /// What to run.
    pub(crate) launch: Launch,
    /// The variant that answers, and how many calls it takes at once.
    pub(crate) variant: Variant,
    /// Time without a call after which the container is stopped.
    idle_timeout: Duration,
    /// Pings the container.
    client: ContainerClient,
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
}

/// The life of a container.
#[derive(Clone, Debug)]
enum Phase {
    /// It loads its model.
    Starting,
    /// It answers at this address.
    Ready(SocketAddr),
    /// It is gone.
    Ended(Reason),
}

/// A call in flight, which keeps the container from being stopped.
pub(crate) struct Call {
    /// Where it counts.
    slot: Arc<Slot>,
}

/// A container that is ready for a call.
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What becomes of it.
    phase: watch::Receiver<Phase>,
}

impl Slot {
    /// An empty slot, closed to calls until it is opened.
    pub(crate) fn new(
        launch: Launch,
        variant: Variant,
        client: ContainerClient,
        idle_timeout: Duration,
    ) -> Self {
        let state = State { process: None, started: 0, calls: 0, idle_since: Instant::now() };
        Self {
            launch,
            variant,
            idle_timeout,
            client,
            open: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            state: Mutex::new(state),
        }
    }

    /// Runs a container until it is ready, stops it again, and opens the slot to calls.
    pub(crate) async fn prove(&self) -> Result<(), Reason> {
        let mut container = Container::spawn(&self.launch)?;
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
        self.stop.cancel();
        self.tasks.close();
    }

    /// Waits until no process is left.
    pub(crate) async fn closed(&self) {
        self.tasks.wait().await;
    }

    /// The container, started if there is none: however many calls ask, it starts once.
    fn process(self: &Arc<Self>) -> Process {
        let mut state = self.lock();
        if let Some(process) = &state.process {
            return process.clone();
        }
        state.started += 1;
        let (publish, phase) = watch::channel(Phase::Starting);
        let process = Process { number: state.started, phase };
        state.process = Some(process.clone());
        self.tasks.spawn(Arc::clone(self).keep(process.number, publish));
        process
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

impl Call {
    /// The container, once it is ready; several calls wait for the same start.
    pub(crate) async fn container(&self) -> Result<Running, Reason> {
        if self.slot.stop.is_cancelled() {
            return Err(Reason::closed());
        }
        let mut phase = self.slot.process().phase;
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await;
        match settled.map(|phase| phase.clone()) {
            Ok(Phase::Ready(address)) => Ok(Running { address, phase }),
            Ok(Phase::Ended(reason)) => Err(reason),
            Ok(Phase::Starting) | Err(_) => Err(Reason::closed()),
        }
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
    /// Why the container is gone, if it goes within `limit`.
    pub(crate) async fn end(mut self, limit: Duration) -> Option<Reason> {
        let gone = self.phase.wait_for(|phase| matches!(phase, Phase::Ended(_)));
        match tokio::time::timeout(limit, gone).await.ok()?.ok()?.clone() {
            Phase::Ended(reason) => Some(reason),
            Phase::Starting | Phase::Ready(_) => None,
        }
    }
}

#[cfg(test)]
impl Running {
    /// A container at this address that never ends.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, phase: watch::channel(Phase::Ready(address)).1 }
    }
}
