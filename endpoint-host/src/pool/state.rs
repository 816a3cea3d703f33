//! What a pool knows of its calls and containers, and whose turn it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::call::Running;
use super::member::Member;
use crate::reason::Reason;

/// How long a start takes as long as none was seen.
const START_GUESS: Duration = Duration::from_secs(1);

/// What a waiting call is given in the end.
pub(super) type Turn = Result<Running, Reason>;

/// Where a waiting call is given its turn.
pub(super) type Waiter = oneshot::Sender<Turn>;

/// What changes with every call and container.
pub(super) struct State {
    /// Calls in flight, waiting or not.
    pub(super) calls: usize,
    /// Whether no more calls are taken.
    pub(super) retired: bool,
    /// The containers that are ready, busy or not.
    pub(super) members: Vec<Arc<Member>>,
    /// Those that are not busy, and since when; the one used last is the last.
    free: Vec<(Arc<Member>, Instant)>,
    /// The calls that wait for a container, the first first; some may have left.
    waiting: VecDeque<Waiter>,
    /// Containers that start.
    pub(super) starting: usize,
    /// When the first of the containers was ready.
    warm_since: Instant,
    /// How long the last start took.
    pub(super) last_start: Duration,
    /// Starts that failed.
    pub(super) failing: Backoff<Reason>,
    /// Containers that died young.
    pub(super) dying: Backoff<()>,
    /// Whether what is missing of the provisioned containers is about to be started.
    pub(super) refilling: bool,
}

impl State {
    /// Nothing runs.
    pub(super) fn new() -> Self {
        Self {
            calls: 0,
            retired: false,
            members: Vec::new(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            starting: 0,
            warm_since: Instant::now(),
            last_start: START_GUESS,
            failing: Backoff::default(),
            dying: Backoff::default(),
            refilling: false,
        }
    }

    /// Takes the container that was used last, so that the others become idle.
    pub(super) fn take_free(&mut self) -> Option<Arc<Member>> {
        self.free.pop().map(|(member, _)| member)
    }

    /// Queues a call up.
    pub(super) fn wait(&mut self) -> oneshot::Receiver<Turn> {
        if self.waiting.len() >= self.calls {
            // Calls that left must not add up.
            self.count_waiting();
        }
        let (waiter, turn) = oneshot::channel();
        self.waiting.push_back(waiter);
        turn
    }

    /// Calls that still wait.
    pub(super) fn count_waiting(&mut self) -> usize {
        self.waiting.retain(|waiter| !waiter.is_closed());
        self.waiting.len()
    }

    /// All calls that wait, which will wait no more.
    pub(super) fn dismiss(&mut self) -> VecDeque<Waiter> {
        std::mem::take(&mut self.waiting)
    }

    /// The call that a free container is for; without one it stays free. None for one that is gone.
    pub(super) fn next(&mut self, member: &Arc<Member>) -> Option<Waiter> {
        if !self.members.iter().any(|known| Arc::ptr_eq(known, member)) {
            return None;
        }
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.free.push((Arc::clone(member), Instant::now()));
        }
        next
    }

    /// Counts a container that is ready in.
    pub(super) fn join(&mut self, member: &Arc<Member>, took: Duration) {
        if self.members.is_empty() {
            self.warm_since = Instant::now();
        }
        self.starting -= 1;
        self.members.push(Arc::clone(member));
        self.started(took);
    }

    /// Notes down how long a start took.
    pub(super) fn started(&mut self, took: Duration) {
        self.last_start = took;
        self.failing.succeeded();
    }

    /// Forgets a container.
    pub(super) fn withdraw(&mut self, member: &Arc<Member>) {
        self.members.retain(|known| !Arc::ptr_eq(known, member));
        self.free.retain(|(known, _)| !Arc::ptr_eq(known, member));
    }

    /// How long a container has been free; nothing if it is busy.
    pub(super) fn idle(&self, member: &Arc<Member>) -> Option<Duration> {
        let (_, since) = self.free.iter().find(|(known, _)| Arc::ptr_eq(known, member))?;
        Some(since.elapsed())
    }

    /// How much longer a call that waits since then has patience before another container is
    /// started; nothing while none is ready, for a second start would only slow the first one down.
    pub(super) fn patience(&self, since: Instant) -> Option<Duration> {
        let since = since.max(self.warm_since);
        let left = || (since + self.last_start).saturating_duration_since(Instant::now());
        (!self.members.is_empty()).then(left)
    }

    /// Containers that are free.
    pub(super) fn count_free(&self) -> usize {
        self.free.len()
    }
}
