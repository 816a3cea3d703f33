//! Stops calls of an endpoint that fails, and lets one through at times to see whether it answers.
//!
//! A pure state machine: the time is told to it, so that it can be tested without any passing.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::culprits::Culprits;
use super::payload::PayloadHash;

/// Over this time, the share of calls that succeed is looked at,
const WINDOW: Duration = Duration::from_secs(10);
/// in parts of this size,
const PART: Duration = Duration::from_secs(1);
/// if there are at least so many of them.
const ENOUGH: u32 = 20;

/// When a breaker opens, and for how long.
#[derive(Debug)]
pub(super) struct Terms {
    /// So many failures one after another open it.
    pub(super) in_a_row: u32,
    /// Whether it opens as well where more calls fail than succeed.
    pub(super) looks_at_share: bool,
    /// How long it is open at first; each failed probe doubles it,
    pub(super) first_pause: Duration,
    /// up to this.
    pub(super) longest_pause: Duration,
}

/// Whether an endpoint may be called.
#[derive(Debug)]
pub(super) struct Breaker {
    terms: &'static Terms,
    state: State,
    /// Since when it is in this state; what began before says nothing about it.
    since: Option<Instant>,
    in_a_row: u32,
    /// How often it has opened since the endpoint last answered.
    openings: u32,
    /// For how long it opened last.
    pause: Duration,
    parts: VecDeque<Part>,
    culprits: Culprits,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// A call is under way to see whether the endpoint answers, since then.
    Probing {
        last: Instant,
    },
}

/// What was counted from an instant on, for [`PART`].
#[derive(Debug)]
struct Part {
    begun: Instant,
    successes: u32,
    failures: u32,
}

/// How a breaker stands, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Position {
    /// Calls go through.
    Closed,
    /// Calls fail at once.
    Open,
    /// One call at a time goes through.
    HalfOpen,
}

/// Leave to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// As anybody.
    Ordinary,
    /// As the one that finds out whether the endpoint answers.
    Probe,
}

/// A failure of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// When the call began.
    pub(super) begun: Instant,
    /// The payload, where that may be to blame: failing at it again says nothing new.
    pub(super) suspect: Option<PayloadHash>,
    /// From 0 to 1; spreads the probes of many routers.
    pub(super) jitter: f64,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(terms: &'static Terms) -> Self {
        Self {
            terms,
            state: State::Closed,
            since: None,
            in_a_row: 0,
            openings: 0,
            pause: Duration::ZERO,
            parts: VecDeque::new(),
            culprits: Culprits::default(),
        }
    }

    /// Whether a call may begin now. A probe that takes longer than `overdue`, and than the breaker
    /// was open before, does not keep the next one from being made.
    pub(super) fn would_admit(&self, now: Instant, overdue: Duration) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::Probing { last } => {
                now.saturating_duration_since(last) >= overdue.max(self.pause)
            }
        }
    }

    /// Leave for a call that begins now.
    pub(super) fn admit(&mut self, now: Instant, overdue: Duration) -> Option<Leave> {
        if !self.would_admit(now, overdue) {
            return None;
        }
        match self.state {
            State::Closed => return Some(Leave::Ordinary),
            State::Open { .. } => self.enter(State::Probing { last: now }, now),
            State::Probing { .. } => self.state = State::Probing { last: now },
        }
        Some(Leave::Probe)
    }

    /// Whether calls go through.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The endpoint has answered a call that began then.
    pub(super) fn succeeded(&mut self, begun: Instant, now: Instant) {
        if self.is_past(begun) {
            return;
        }
        self.part(now).successes += 1;
        self.in_a_row = 0;
        if self.state != State::Closed {
            self.parts.clear();
            self.openings = 0;
            self.enter(State::Closed, now);
        }
    }

    /// The endpoint has failed. Says whether this opened the breaker.
    pub(super) fn failed(&mut self, fault: Fault, now: Instant) -> bool {
        let is_known = fault.suspect.is_some_and(|payload| self.culprits.accuse(payload, now));
        if self.is_past(fault.begun) || is_known {
            return false;
        }
        self.part(now).failures += 1;
        self.in_a_row += 1;
        let opens = match self.state {
            State::Closed => self.in_a_row >= self.terms.in_a_row || self.mostly_fails(now),
            State::Probing { .. } => true,
            State::Open { .. } => false,
        };
        if opens {
            self.open(now, fault.jitter);
        }
        opens
    }

    /// Whether this payload is one of the last that the endpoint failed at.
    pub(super) fn has_failed_at(&self, payload: PayloadHash, now: Instant) -> bool {
        self.culprits.has(payload, now)
    }

    /// A probe has ended without saying anything about the endpoint: the next call is one again.
    pub(super) fn withdraw(&mut self, now: Instant) {
        if matches!(self.state, State::Probing { .. }) {
            // Other probes under way still say something.
            self.state = State::Open { until: now };
        }
    }

    /// How it stands, and how many failures there were one after another.
    pub(super) fn position(&self, now: Instant) -> (Position, u32) {
        let position = match self.state {
            State::Closed => Position::Closed,
            State::Open { until } if now < until => Position::Open,
            State::Open { .. } | State::Probing { .. } => Position::HalfOpen,
        };
        (position, self.in_a_row)
    }

    /// A call that began before the last change of state says nothing about what is now.
    fn is_past(&self, begun: Instant) -> bool {
        self.since.is_some_and(|since| begun < since)
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.state = state;
        self.since = Some(now);
    }

    /// How long it stays open.
    pub(super) fn open_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { until } if now < until => Some(until.duration_since(now)),
            State::Open { .. } | State::Closed | State::Probing { .. } => None,
        }
    }

    fn open(&mut self, now: Instant, jitter: f64) {
        let doubled = self.terms.first_pause * 2_u32.saturating_pow(self.openings.min(10));
        let pause = doubled.min(self.terms.longest_pause).mul_f64(1.0 + 0.2 * jitter);
        self.openings += 1;
        self.pause = pause;
        self.enter(State::Open { until: now + pause }, now);
    }

    fn mostly_fails(&self, now: Instant) -> bool {
        let recent = self.parts.iter().filter(|part| now.duration_since(part.begun) <= WINDOW);
        let (successes, failures) =
            recent.fold((0, 0), |(s, f), part| (s + part.successes, f + part.failures));
        self.terms.looks_at_share && successes + failures >= ENOUGH && failures > successes
    }

    fn part(&mut self, now: Instant) -> &mut Part {
        if self.parts.back().is_none_or(|part| now.duration_since(part.begun) >= PART) {
            self.parts.retain(|part| now.duration_since(part.begun) <= WINDOW);
            self.parts.push_back(Part { begun: now, successes: 0, failures: 0 });
        }
        self.parts.back_mut().expect("one was added where there was none")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const OVERDUE: Duration = Duration::from_secs(3);
    const TERMS: Terms = Terms {
        in_a_row: 7,
        looks_at_share: true,
        first_pause: SECOND,
        longest_pause: Duration::from_secs(30),
    };

    fn fault(suspect: impl Into<Option<u32>>, begun: Instant) -> Fault {
        Fault { begun, suspect: suspect.into().map(PayloadHash::of_test), jitter: 0.0 }
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(&TERMS);
        for n in 0..TERMS.in_a_row {
            assert_eq!(breaker.admit(now, OVERDUE), Some(Leave::Ordinary));
            assert_eq!(breaker.failed(fault(n, now), now), n + 1 == TERMS.in_a_row);
        }
        breaker
    }

    #[tokio::test]
    async fn failures_in_a_row_open_it_and_an_answered_probe_closes_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + SECOND / 2, OVERDUE), None);
        assert_eq!(breaker.admit(now + SECOND, OVERDUE), Some(Leave::Probe));
        assert_eq!(breaker.admit(now + SECOND, OVERDUE), None);
        breaker.succeeded(now + SECOND, now + SECOND);
        assert_eq!(breaker.admit(now + SECOND, OVERDUE), Some(Leave::Ordinary));
        assert_eq!(breaker.position(now + SECOND), (Position::Closed, 0));
    }

    #[tokio::test]
    async fn each_failed_probe_doubles_the_pause_up_to_a_limit() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for pause in [1, 2, 4, 8, 16, 30, 30].map(|seconds| seconds * SECOND) {
            assert_eq!(breaker.admit(now + pause - SECOND / 100, OVERDUE), None, "{pause:?}");
            now += pause;
            assert_eq!(breaker.admit(now, OVERDUE), Some(Leave::Probe), "{pause:?}");
            assert!(breaker.failed(fault(None, now), now));
        }
    }

    #[tokio::test]
    async fn one_payload_that_fails_again_and_again_opens_nothing() {
        let begun = Instant::now();
        let mut breaker = Breaker::new(&TERMS);
        for second in 0..1000 {
            let now = begun + SECOND * second;
            assert!(!breaker.failed(fault(1, now), now));
        }
        assert_eq!(breaker.position(begun), (Position::Closed, 1));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_reached_opens_it_whatever_it_is_sent() {
        let now = Instant::now();
        let mut breaker = Breaker::new(&TERMS);
        let opened = (0..TERMS.in_a_row).map(|_| breaker.failed(fault(None, now), now));
        assert_eq!(opened.filter(|opened| *opened).count(), 1);
    }

    #[tokio::test]
    async fn it_opens_where_more_calls_fail_than_succeed_though_never_in_a_row() {
        let now = Instant::now();
        let mut breaker = Breaker::new(&TERMS);
        let mut opened = false;
        for n in 0..30 {
            if n % 3 == 0 {
                breaker.succeeded(now, now);
            } else {
                opened |= breaker.failed(fault(n, now), now);
            }
        }
        assert!(opened);
        let mut half = Breaker::new(&TERMS);
        for n in 0..100 {
            half.succeeded(now, now);
            assert!(!half.failed(fault(n, now), now));
        }
        // What is long ago counts no more.
        assert!(half.parts.len() == 1);
        half.succeeded(now, now + WINDOW + SECOND);
        assert!(half.parts.len() == 1);
    }

    #[tokio::test]
    async fn what_began_before_it_opened_or_closed_says_nothing() {
        let begun = Instant::now();
        let now = begun + SECOND;
        let mut breaker = opened(now);
        breaker.succeeded(begun, now + SECOND / 2);
        assert_eq!(breaker.position(now + SECOND / 2).0, Position::Open);
        let now = now + SECOND;
        assert_eq!(breaker.admit(now, OVERDUE), Some(Leave::Probe));
        breaker.succeeded(begun, now);
        assert!(!breaker.failed(fault(None, begun), now));
        assert_eq!(breaker.admit(now, OVERDUE), None);
        breaker.succeeded(now, now + SECOND);
        for _ in 0..100 {
            assert!(!breaker.failed(fault(None, now), now + SECOND));
        }
        assert_eq!(breaker.position(now + SECOND), (Position::Closed, 0));
    }

    #[tokio::test]
    async fn a_probe_that_hangs_does_not_keep_the_next_one_from_being_made() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let begun = now + SECOND;
        assert_eq!(breaker.admit(begun, OVERDUE), Some(Leave::Probe));
        assert_eq!(breaker.admit(begun + SECOND, OVERDUE), None);
        assert_eq!(breaker.admit(begun + OVERDUE, OVERDUE), Some(Leave::Probe));
        assert_eq!(breaker.admit(begun + OVERDUE, OVERDUE), None);
        breaker.succeeded(begun + OVERDUE, begun + OVERDUE);
        assert!(breaker.is_closed());
    }

    #[tokio::test]
    async fn a_probe_that_says_nothing_gives_its_leave_to_the_next_call() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + SECOND, OVERDUE), Some(Leave::Probe));
        breaker.withdraw(now + SECOND);
        assert_eq!(breaker.admit(now + SECOND, OVERDUE), Some(Leave::Probe));
    }
}
