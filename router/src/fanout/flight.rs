//! One payload on its way to one model, for all who wait for what comes of it.
//!
//! Who sends a flight off drives it while he waits (`seat`). Should he leave first, it goes on in a
//! task of its own as long as other callers wait, or its endpoint may be starting: the answer is
//! wanted by those who come next. Else it is given up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::failure::Failure;
use super::lane::Lane;
use super::line::Line;
use super::payload::{Payload, PayloadHash};
use super::until::Waiting;
use crate::policy::model::{Endpoint, Model};
use crate::policy::name::Name;

/// How often a flight that no caller waits for looks whether its endpoint may still be starting.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// What comes of a flight.
pub(super) type Landing = Result<Arc<Answer>, Failure>;

/// The making of a flight, which ends once it has landed.
pub(super) type Course = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is asked of whom, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) model: Arc<Model>,
    pub(super) payload: Payload,
    pub(super) client: Name,
}

/// Names a flight: a registration, which lives as long as its flights, and what the model is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    model: usize,
    payload: PayloadHash,
}

impl Hash for Route {
    /// The payload's is a keyed hash, so that nobody can look for two flights with one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let model = (self.model as u64).wrapping_mul(SPREAD) >> 32;
        state.write_u64(self.payload.word() ^ model);
    }
}

/// What differs in some bits differs in most of the upper half of its product with this: 2^64 by the
/// golden ratio. Addresses of models differ in few.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Takes the hash that it is given.
#[derive(Default)]
struct AsGiven(u64);

impl Hasher for AsGiven {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(SPREAD));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Order {
    fn route(&self) -> Route {
        Route { model: Arc::as_ptr(&self.model).addr(), payload: self.payload.hash }
    }
}

/// A flight, from before its beginning until nobody remembers it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) order: Order,
    pub(super) lane: Arc<Lane>,
    waiting: Waiting,
    home: Arc<Flights>,
    state: Mutex<State>,
    /// Notified when it lands.
    landed: Notify,
    /// Notified when the last caller leaves.
    deserted: Notify,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// How many callers wait for it.
    callers: usize,
}

/// How far a flight has come.
#[derive(Debug)]
enum Progress {
    /// It waits for its turn.
    Queued,
    /// It is being made since then.
    Begun(Instant),
    /// It is over.
    Landed(Landing),
}

impl Flight {
    fn new((order, lane): (Order, Arc<Lane>), waiting: Waiting, home: Arc<Flights>) -> Arc<Self> {
        let state = Mutex::new(State { progress: Progress::Queued, callers: 0 });
        let (landed, deserted) = (Notify::new(), Notify::new());
        Arc::new(Self { order, lane, waiting, home, state, landed, deserted })
    }

    /// It has got its turn, perhaps once more.
    pub(super) fn begin(&self, now: Instant) {
        let mut state = self.lock();
        if matches!(state.progress, Progress::Queued) {
            state.progress = Progress::Begun(now);
        }
    }

    /// Since when it is being made, if it is.
    pub(super) fn begun(&self) -> Option<Instant> {
        match self.lock().progress {
            Progress::Begun(begun) => Some(begun),
            Progress::Queued | Progress::Landed(_) => None,
        }
    }

    /// What has come of it, if it is over.
    pub(super) fn landing(&self) -> Option<Landing> {
        match &self.lock().progress {
            Progress::Landed(landing) => Some(landing.clone()),
            Progress::Queued | Progress::Begun(_) => None,
        }
    }

    /// Waits until it is over; somebody else makes it.
    pub(super) async fn wait(&self) -> Landing {
        if let Some(landing) = self.landing() {
            return landing;
        }
        loop {
            let mut landed = pin!(self.landed.notified());
            landed.as_mut().enable();
            if let Some(landing) = self.landing() {
                return landing;
            }
            landed.await;
        }
    }

    /// Whether its endpoint may be starting, so that it is worth waiting for.
    pub(super) fn may_be_starting(&self) -> bool {
        match self.lock().progress {
            Progress::Queued => self.lane.is_starting(),
            Progress::Begun(begun) => self.lane.may_be_starting(begun),
            Progress::Landed(_) => false,
        }
    }

    /// It is over: who comes now begins another.
    fn land(&self, landing: Landing) {
        self.home.remove(self);
        self.lock().progress = Progress::Landed(landing);
        self.landed.notify_waiters();
    }

    /// Whether who asks the same may wait for it: not where it takes longer than the answers of an
    /// endpoint that is up, and no caller where it waits in a line of others' calls.
    fn may_be_boarded(&self, order: &Order, waiting: Waiting) -> bool {
        let is_alike = self.waiting == waiting && self.order.client == order.client;
        match self.lock().progress {
            Progress::Queued => waiting != Waiting::Caller || is_alike,
            Progress::Begun(begun) => {
                !self.lane.is_overdue(begun) || self.lane.may_be_starting(begun)
            }
            Progress::Landed(_) => false,
        }
    }

    /// Waits until it only keeps callers from its place, though no caller waits for it: it takes
    /// longer than answers do, and somebody waits in line.
    pub(super) async fn is_to_yield(&self) {
        loop {
            sleep(LOOK_AGAIN).await;
            let is_late = self.begun().is_some_and(|begun| self.lane.is_overdue(begun));
            if is_late && self.is_deserted() && self.is_in_the_way() {
                return;
            }
        }
    }

    /// Whether no caller waits for it.
    pub(super) fn is_deserted(&self) -> bool {
        self.lock().callers == 0
    }

    pub(super) fn enter(&self) {
        self.lock().callers += 1;
    }

    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.callers -= 1;
        if state.callers == 0 {
            self.deserted.notify_one();
        }
    }

    /// Goes on without the one who has driven it, if it should.
    pub(super) fn go_on(self: &Arc<Self>, course: Course) {
        let room = {
            let mut flights = self.home.lock();
            let room = if self.is_deserted() { self.room() } else { None };
            if self.is_deserted() && room.is_none() {
                flights.remove_this(self);
                drop(flights);
                return;
            }
            room
        };
        // Without a runtime there is nobody to wait for it either.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(Arc::clone(self).see_through(course, room));
        }
    }

    async fn see_through(self: Arc<Self>, course: Course, room: Option<OwnedSemaphorePermit>) {
        tokio::select! {
            () = course => {}
            () = self.given_up(room) => {}
        }
    }

    /// Waits until no caller waits for it, and its endpoint isn't starting either; none can board
    /// it then.
    async fn given_up(&self, mut room: Option<OwnedSemaphorePermit>) {
        loop {
            let mut flights = self.home.lock();
            if !self.is_deserted() {
                drop(flights);
                self.deserted.notified().await;
                continue;
            }
            room = room.filter(|_| self.may_go_on()).or_else(|| self.room());
            if room.is_none() {
                return flights.remove_this(self);
            }
            drop(flights);
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Whether it may go on without a caller: it has begun, may be waiting for a start, and keeps
    /// no caller from a place.
    fn may_go_on(&self) -> bool {
        self.begun().is_some() && self.may_be_starting() && !self.is_in_the_way()
    }

    /// Room to go on without a caller, if it may and there is some left.
    fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = self.may_go_on().then(|| Arc::clone(&self.lane.background))?;
        room.try_acquire_owned().ok()
    }

    /// Whether a caller waits for a place that it holds.
    fn is_in_the_way(&self) -> bool {
        let model = &self.order.model;
        let is_of_account = matches!(model.document.endpoint, Endpoint::SageMaker(_));
        model.line.get().is_some_and(|line| line.is_pressed())
            || is_of_account && self.home.account.is_pressed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lands a flight, also one that is dropped on its way.
#[derive(Debug)]
pub(super) struct Pilot(Option<Arc<Flight>>);

impl Pilot {
    pub(super) fn of(flight: &Arc<Flight>) -> Self {
        Self(Some(Arc::clone(flight)))
    }

    pub(super) fn land(mut self, landing: Landing) {
        if let Some(flight) = self.0.take() {
            flight.land(landing);
        }
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if let Some(flight) = self.0.take() {
            let failure = Failure::late("nobody waited for the call any longer");
            let is_starting = flight.may_be_starting();
            flight.land(Err(if is_starting { failure.while_starting() } else { failure }));
        }
    }
}

/// The flights that can be boarded.
#[derive(Debug)]
pub(super) struct Flights {
    known: Mutex<Known>,
    /// The places of the account.
    account: Arc<Line>,
}

#[derive(Debug, Default)]
struct Known(HashMap<Route, Arc<Flight>, BuildHasherDefault<AsGiven>>);

impl Flights {
    pub(super) fn new(account: Arc<Line>) -> Arc<Self> {
        Arc::new(Self { known: Mutex::default(), account })
    }

    /// The flight that is under way already, or a new one with the course that `begin` makes. A
    /// caller counts as such from now on.
    pub(super) fn board(
        self: &Arc<Self>,
        (order, lane): (Order, &Arc<Lane>),
        waiting: Waiting,
        begin: impl FnOnce(&Arc<Flight>) -> Result<Course, Failure>,
    ) -> (Arc<Flight>, Option<Course>) {
        let mut flights = self.lock();
        let (flight, course) = match flights.0.entry(order.route()) {
            Entry::Occupied(known) if known.get().may_be_boarded(&order, waiting) => {
                (Arc::clone(known.get()), None)
            }
            place => {
                let flight = Flight::new((order, Arc::clone(lane)), waiting, Arc::clone(self));
                let course = begin(&flight);
                match &course {
                    Ok(_) => drop(place.insert_entry(Arc::clone(&flight))),
                    Err(failure) => {
                        flight.lock().progress = Progress::Landed(Err(failure.clone()));
                    }
                }
                (flight, course.ok())
            }
        };
        if waiting == Waiting::Caller {
            flight.enter();
        }
        (flight, course)
    }

    fn remove(&self, flight: &Flight) {
        self.lock().remove_this(flight);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Another may have taken its place.
    fn remove_this(&mut self, flight: &Flight) {
        if let Entry::Occupied(known) = self.0.entry(flight.order.route())
            && ptr::eq(Arc::as_ptr(known.get()), flight)
        {
            known.remove();
        }
    }
}
