//! What is known of one endpoint: whether it answers, how soon, and what more it may be asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::breaker::{Breaker, Fault, Leave, Terms as BreakerTerms};
use super::budget::{Budget, Terms};
use super::failure::{Blame, Failure, Hope};
use super::latencies::{Latencies, Quantiles};
use super::meter::{EndpointMetrics, Meter, Outcome};
use super::payload::PayloadHash;
use super::silence::Hearing;
use crate::policy::model::Digest;

pub(crate) use super::breaker::Position;

/// When an endpoint that fails is left alone.
const FAILING: BreakerTerms = BreakerTerms {
    in_a_row: 7,
    looks_at_share: true,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(30),
};
/// When an endpoint that throttles is.
const THROTTLING: BreakerTerms = BreakerTerms {
    in_a_row: 5,
    looks_at_share: false,
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_secs(2),
};
/// A retry for every fifth call, and one a second for endpoints with few.
const RETRIES: Terms = Terms { most: 10.0, deposit: 0.2, per_second: 1.0 };
/// A hedge for every twentieth answer.
const HEDGES: Terms = Terms { most: 10.0, deposit: 0.05, per_second: 0.0 };
/// A call is overdue after so many times what nearly all answers took,
const OVERDUE: u32 = 3;
/// or after this, whichever is longer,
const SHORTEST_OVERDUE: Duration = Duration::from_millis(100);
/// or after this where that is not known.
const UNKNOWN_OVERDUE: Duration = Duration::from_secs(1);
/// A second attempt begins this much later than most answers come, in percent,
const HEDGE_AFTER: u32 = 150;
/// and never sooner.
const SHORTEST_HEDGE: Duration = Duration::from_millis(5);
/// How many calls may go on, or be made, while no caller waits for them.
const BACKGROUND: usize = 16;

/// One endpoint, as the router sees it.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Where it is, as it is shown.
    pub(crate) endpoint: String,
    known: Mutex<Known>,
    /// One permit for each call that may be under way while no caller waits for it.
    pub(super) background: Arc<Semaphore>,
    in_flight: AtomicUsize,
    /// The digest of the model that it serves, as its last answer has named it.
    digest: Mutex<Option<Digest>>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
struct Known {
    breaker: Breaker,
    throttle: Breaker,
    retries: Budget,
    hedges: Budget,
    latencies: Latencies,
    last_success: Option<Timestamp>,
    last_failure: Option<(Timestamp, String)>,
    hearing: Hearing,
}

/// How an endpoint stands, as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Of the breaker.
    pub(crate) position: Position,
    /// How long the breaker stays open.
    pub(crate) open_for: Option<Duration>,
    /// How long it is spared for throttling.
    pub(crate) throttled_for: Option<Duration>,
    /// Failures at payloads that differ, one after another.
    pub(crate) failures_in_a_row: u32,
    /// Whether it has not answered for so long that the next call may find it asleep.
    pub(crate) is_cold: bool,
    /// Attempts under way.
    pub(crate) in_flight: usize,
    /// How soon it answers, where that is known.
    pub(crate) quantiles: Option<Quantiles>,
    /// What is left of the retries.
    pub(crate) retries: f64,
    /// When it last answered.
    pub(crate) last_success: Option<Timestamp>,
    /// When it last failed, and how.
    pub(crate) last_failure: Option<(Timestamp, String)>,
}

impl Lane {
    pub(super) fn new(endpoint: String, metrics: &EndpointMetrics) -> Self {
        let now = Instant::now();
        let known = Known {
            breaker: Breaker::new(&FAILING),
            throttle: Breaker::new(&THROTTLING),
            retries: Budget::new(RETRIES, now),
            hedges: Budget::new(HEDGES, now),
            latencies: Latencies::default(),
            last_success: None,
            last_failure: None,
            hearing: Hearing::default(),
        };
        let meter = metrics.of(&endpoint);
        Self {
            endpoint,
            known: Mutex::new(known),
            background: Arc::new(Semaphore::new(BACKGROUND)),
            in_flight: AtomicUsize::new(0),
            digest: Mutex::default(),
            meter,
        }
    }

    /// Why a call would fail at once at `now`: so its caller knows before it waits for anything.
    pub(super) fn refusal(&self, payload: PayloadHash, now: Instant) -> Option<Failure> {
        let known = self.lock();
        if !known.may_call(payload, now) {
            return Some(fails());
        }
        (!known.throttle.would_admit(now, known.overdue())).then(throttles)
    }

    /// Leave to call at `now`, unless the endpoint fails or throttles.
    pub(super) fn admit(
        self: &Arc<Self>,
        payload: PayloadHash,
        now: Instant,
    ) -> Result<Admission, Failure> {
        let mut known = self.lock();
        let overdue = known.overdue();
        if !known.may_call(payload, now) {
            return Err(fails());
        }
        let throttle = known.throttle.admit(now, overdue).ok_or_else(throttles)?;
        let breaker = known.breaker.admit(now, overdue).ok_or_else(fails)?;
        let is_suspect = known.breaker.has_failed_at(payload, now);
        let hedge_after = known.hedge_after(now);
        let is_probe = breaker == Leave::Probe || throttle == Leave::Probe;
        Ok(Admission { lane: Arc::clone(self), is_probe, is_suspect, hedge_after })
    }

    /// Begins an attempt, at `begun`.
    pub(super) fn begin(self: &Arc<Self>, payload: PayloadHash, begun: Instant) -> Attempt {
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.lock().hearing.listen(begun);
        }
        self.meter.begun();
        Attempt { lane: Arc::clone(self), payload, begun, is_over: false }
    }

    /// Whether a call that began then, and has no answer, may be waiting for a start.
    pub(super) fn may_be_starting(&self, begun: Instant) -> bool {
        let known = self.lock();
        known.hearing.may_be_starting(begun, Instant::now(), known.overdue())
    }

    /// Whether calls are under way that may be waiting for a start.
    pub(super) fn is_starting(&self) -> bool {
        let (known, now) = (self.lock(), Instant::now());
        let is_busy = self.in_flight.load(Ordering::Relaxed) > 0;
        is_busy && known.hearing.is_silent(now, known.overdue()) && !known.hearing.is_dead(now)
    }

    /// Whether calls are under way, and none was answered for longer than a start takes.
    fn is_dead(&self) -> bool {
        self.lock().hearing.is_dead(Instant::now())
    }

    /// Takes leave to make a call once more; an endpoint that is left alone gives none.
    pub(super) fn may_retry(&self) -> bool {
        let mut known = self.lock();
        let is_open = !known.breaker.is_closed() || !known.throttle.is_closed();
        let may = !is_open && known.retries.take(Instant::now());
        if may {
            self.meter.retried();
        }
        may
    }

    /// Takes leave to make a call a second time beside the first.
    pub(super) fn may_hedge(&self) -> bool {
        let may = self.lock().hedges.take(Instant::now());
        if may {
            self.meter.hedged();
        }
        may
    }

    /// An answer has named the model's digest, or none. Says whether it was another before.
    pub(super) fn serves(&self, digest: Option<Digest>) -> bool {
        let mut served = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *served, digest) != digest
    }

    /// The digest of the model that it serves, as far as it has named one.
    pub(super) fn served(&self) -> Option<Digest> {
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the endpoint stands.
    pub(crate) fn standing(&self) -> Standing {
        let now = Instant::now();
        let known = self.lock();
        let (position, failures_in_a_row) = known.breaker.position(now);
        Standing {
            position,
            open_for: known.breaker.open_for(now),
            throttled_for: known.throttle.open_for(now),
            failures_in_a_row,
            is_cold: known.hearing.may_sleep(now),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            quantiles: known.latencies.quantiles(),
            retries: known.retries.tokens_at(now),
            last_success: known.last_success,
            last_failure: known.last_failure.clone(),
        }
    }

    fn succeeded(&self, (begun, now): (Instant, Instant), is_usual: bool) {
        let mut known = self.lock();
        let (overdue, took) = (known.overdue(), now.duration_since(begun));
        let has_waited = known.hearing.hear(begun, now, overdue);
        known.breaker.succeeded(begun, now);
        known.throttle.succeeded(begun, now);
        self.meter.is_open(!known.breaker.is_closed());
        self.meter.is_spared(!known.throttle.is_closed());
        known.retries.deposit();
        known.hedges.deposit();
        // What a start takes says nothing of how soon answers come.
        if is_usual && !has_waited {
            known.latencies.note(took);
        }
        known.last_success = Some(Timestamp::now());
    }

    fn failed(&self, begun: Instant, suspect: Option<PayloadHash>, cause: &str) {
        let mut known = self.lock();
        known.last_failure = Some((Timestamp::now(), cause.to_owned()));
        if known.breaker.failed(Fault { begun, suspect, jitter: jitter() }, Instant::now()) {
            self.meter.opened();
            tracing::warn!(endpoint = self.endpoint, cause, "an endpoint fails, its breaker opens");
        }
    }

    fn throttled(&self, begun: Instant, cause: &str) {
        let mut known = self.lock();
        known.last_failure = Some((Timestamp::now(), cause.to_owned()));
        let fault = Fault { begun, suspect: None, jitter: jitter() };
        if known.throttle.failed(fault, Instant::now()) {
            self.meter.is_spared(true);
            tracing::warn!(endpoint = self.endpoint, cause, "an endpoint throttles and is spared");
        }
    }

    /// Whether an attempt that began then takes longer than one that will be answered.
    pub(super) fn is_overdue(&self, begun: Instant) -> bool {
        begun.elapsed() >= self.lock().overdue()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether the breaker would let such a call through; one that may be to blame itself finds
    /// out nothing.
    fn may_call(&self, payload: PayloadHash, now: Instant) -> bool {
        let is_suspect = || self.breaker.has_failed_at(payload, now);
        self.breaker.is_closed() || self.breaker.would_admit(now, self.overdue()) && !is_suspect()
    }

    /// The least time that is longer than answers take.
    fn overdue(&self) -> Duration {
        let usual = self.latencies.quantiles();
        usual.map_or(UNKNOWN_OVERDUE, |usual| {
            usual.p99.saturating_mul(OVERDUE).max(SHORTEST_OVERDUE)
        })
    }

    /// After how long without an answer a call may be made a second time beside the first; never
    /// where the endpoint may be asleep: that would only wake two.
    fn hedge_after(&self, now: Instant) -> Option<Duration> {
        let quantiles = self.latencies.quantiles().filter(|_| !self.hearing.may_sleep(now))?;
        Some((quantiles.p95 * HEDGE_AFTER / 100).max(SHORTEST_HEDGE))
    }
}

fn fails() -> Failure {
    Failure::endpoint("the endpoint fails again and again; it is tried at times")
}

fn throttles() -> Failure {
    Failure::throttled("the endpoint throttles; it is tried at times")
}

/// Leave for one call, and what is known of it beforehand.
#[derive(Debug)]
pub(super) struct Admission {
    lane: Arc<Lane>,
    is_probe: bool,
    /// Whether its payload is one of the last that the endpoint failed at.
    pub(super) is_suspect: bool,
    /// After how long it may be made a second time beside the first.
    pub(super) hedge_after: Option<Duration>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.is_probe {
            let (mut known, now) = (self.lane.lock(), Instant::now());
            known.breaker.withdraw(now);
            known.throttle.withdraw(now);
        }
    }
}

/// An attempt under way. One that is dropped without an end was given up by everybody.
#[derive(Debug)]
pub(super) struct Attempt {
    lane: Arc<Lane>,
    payload: PayloadHash,
    begun: Instant,
    is_over: bool,
}

impl Attempt {
    /// Notes how it ended.
    pub(super) fn end<T>(mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.is_over = true;
        let outcome = result.as_ref().map_or_else(Outcome::of, |_| Outcome::Ok);
        let now = Instant::now();
        self.lane.meter.ended(outcome, now.duration_since(self.begun));
        match &result {
            Ok(_) => self.lane.succeeded((self.begun, now), true),
            Err(failure) => self.blame(failure, now),
        }
        result
    }

    fn blame(&self, failure: &Failure, now: Instant) {
        let (lane, begun, cause) = (&self.lane, self.begun, &failure.cause);
        match failure.blame {
            // It has answered, and what it says is about this one content.
            Blame::Content => lane.succeeded((begun, now), false),
            Blame::Model => lane.failed(begun, Some(self.payload), cause),
            Blame::Endpoint => lane.failed(begun, None, cause),
            Blame::Nobody if failure.hope == Hope::Later => lane.throttled(begun, cause),
            Blame::Nobody => {}
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.lane.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.is_over {
            return;
        }
        let (lane, begun) = (&self.lane, self.begun);
        if !lane.is_overdue(begun) && !lane.is_dead() {
            return lane.meter.ended(Outcome::Cancelled, begun.elapsed());
        }
        lane.meter.ended(Outcome::Timeout, begun.elapsed());
        if lane.may_be_starting(begun) {
            lane.lock().last_failure = Some((Timestamp::now(), "no answer yet".to_owned()));
        } else {
            lane.failed(begun, Some(self.payload), "no answer while anybody waited for it");
        }
    }
}

/// From 0 to 1.
pub(super) fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
