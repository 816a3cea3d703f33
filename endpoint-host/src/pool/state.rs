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

/// A container that had a call within this time is at work.
const LATELY: Duration = Duration::from_secs(10);

/// In so many times what a start takes, a pool has the containers that its load needs: a call waits
/// for as long as one start before it has another made.
const SETTLING_STARTS: u32 = 3;

/// What a waiting call is given in the end.
pub(super) type Turn = Result<Running, Reason>;

/// Where a waiting call is given its turn.
pub(super) type Waiter = oneshot::Sender<Turn>;

/// Other containers of the endpoint, whose starts keep from the calls what processors there are.
#[derive(Clone, Copy)]
enum Crowd {
    /// There are none.
    None,
    /// An update starts them.
    Now,
    /// An update did until then, and what it has held up is yet to be done.
    Until(Instant),
}

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
    /// When the first of the containers was ready, or the pool took over from another.
    warm_since: Instant,
    /// Whether it is yet to take over from another, and its containers wait for that.
    stands_by: bool,
    /// Whether an update starts containers beside these.
    crowd: Crowd,
    /// How long the last start took.
    pub(super) last_start: Duration,
    /// Starts that failed.
    pub(super) failing: Backoff,
    /// Containers that died young.
    pub(super) dying: Backoff,
    /// Whether what is missing of the provisioned containers is about to be started.
    pub(super) refilling: bool,
    /// Whether a container is about to be started for those who wait.
    pub(super) reviving: bool,
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
            stands_by: false,
            crowd: Crowd::None,
            last_start: START_GUESS,
            failing: Backoff::default(),
            dying: Backoff::default(),
            refilling: false,
            reviving: false,
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

    /// Keeps its containers until it takes over from another pool.
    pub(super) fn stand_by(&mut self) {
        self.stands_by = true;
    }

    /// Begins to get the load of another pool.
    pub(super) fn settles_from_now(&mut self) {
        self.warm_since = Instant::now();
        self.stands_by = false;
        self.uncrowd();
    }

    /// An update begins to start containers beside these.
    pub(super) fn crowd(&mut self) {
        self.crowd = Crowd::Now;
    }

    /// An update has started what it needs, or has failed.
    pub(super) fn uncrowd(&mut self) {
        self.crowd = Crowd::Until(Instant::now() + SETTLING_STARTS * self.last_start);
    }

    /// Whether a load beyond the most that there may be is the host's own doing, or new and there
    /// may soon be more containers for it.
    pub(super) fn settles(&self, most: usize) -> bool {
        let is_new = || self.warm_since.elapsed() < SETTLING_STARTS * self.last_start;
        let is_crowded = || match self.crowd {
            Crowd::None => false,
            Crowd::Now => true,
            Crowd::Until(end) => Instant::now() < end,
        };
        self.members.is_empty() || is_crowded() || (self.members.len() < most && is_new())
    }

    /// Containers that are busy or were lately.
    pub(super) fn count_at_work(&self) -> usize {
        let idle = self.free.iter().filter(|(_, since)| since.elapsed() >= LATELY);
        self.members.len() - idle.count()
    }

    /// How long a container has been free while calls could have come; nothing if it is busy.
    pub(super) fn idle(&self, member: &Arc<Member>) -> Option<Duration> {
        let (_, since) = self.free.iter().find(|(known, _)| Arc::ptr_eq(known, member))?;
        (!self.stands_by).then(|| self.warm_since.max(*since).elapsed())
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
