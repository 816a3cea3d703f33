//! How often a key may be used: so many contents a minute, all at once or evenly.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The time that a limit is about.
const WINDOW: Duration = Duration::from_secs(60);

/// A number of contents a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "i64", into = "i64")]
#[schema(value_type = u64, minimum = 1, maximum = 10_000_000)]
pub(crate) struct PerMinute(NonZeroU32);

impl TryFrom<i64> for PerMinute {
    type Error = &'static str;

    fn try_from(contents: i64) -> Result<Self, Self::Error> {
        let contents = u32::try_from(contents).ok().filter(|contents| *contents <= 10_000_000);
        contents.and_then(NonZeroU32::new).map(Self).ok_or("must be from 1 to 10000000 a minute")
    }
}

impl From<PerMinute> for i64 {
    fn from(limit: PerMinute) -> Self {
        limit.0.get().into()
    }
}

/// What is left of a key's contents, by the generic cell rate algorithm.
pub(crate) struct Limit {
    per_minute: PerMinute,
    limiter: DefaultDirectRateLimiter<StateInformationMiddleware>,
    left: Mutex<Left>,
}

/// What was left when a content was last asked for; the limiter tells it only then.
struct Left {
    contents: u32,
    at: Instant,
}

/// What callers are told of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The contents a minute.
    pub(crate) quota: u32,
    /// How many of them are left.
    pub(crate) remaining: u32,
    /// The seconds until all of them are there again.
    pub(crate) full_in: u64,
}

impl Limit {
    pub(crate) fn new(per_minute: PerMinute) -> Self {
        let quota = Quota::per_minute(per_minute.0);
        let left = Mutex::new(Left { contents: per_minute.0.get(), at: Instant::now() });
        let limiter = RateLimiter::direct(quota).with_middleware();
        Self { per_minute, limiter, left }
    }

    pub(crate) fn per_minute(&self) -> PerMinute {
        self.per_minute
    }

    /// Takes one content, or says how long it is until there is one.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.limiter.check();
        let contents = taken.as_ref().map_or(0, StateSnapshot::remaining_burst_capacity);
        *left = Left { contents, at: Instant::now() };
        let now = self.limiter.clock().now();
        taken.map(drop).map_err(|refused| refused.wait_time_from(now))
    }

    /// How the limit stands, without taking anything.
    pub(crate) fn standing(&self) -> Standing {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = self.per_minute.0.get();
        let apart = WINDOW / quota;
        let since = left.at.elapsed().as_nanos() / apart.as_nanos();
        let since = u32::try_from(since).unwrap_or(u32::MAX);
        let remaining = left.contents.saturating_add(since).min(quota);
        let full_in = (apart * (quota - remaining)).as_secs_f64().ceil();
        Standing { quota, remaining, full_in: full_in as u64 }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limit({:?})", self.per_minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_minute: i64) -> Limit {
        Limit::new(per_minute.try_into().unwrap())
    }

    #[test]
    fn a_minutes_contents_may_come_at_once_and_no_more() {
        let limit = limit(3);
        assert_eq!(limit.standing(), Standing { quota: 3, remaining: 3, full_in: 0 });
        for _ in 0..3 {
            limit.take().unwrap();
        }
        let wait = limit.take().unwrap_err();
        assert!(wait <= Duration::from_secs(20) && wait > Duration::from_secs(10), "{wait:?}");
        assert_eq!(limit.standing(), Standing { quota: 3, remaining: 0, full_in: 60 });
    }

    #[test]
    fn what_was_taken_comes_back_with_the_time() {
        // One in six microseconds.
        let limit = limit(10_000_000);
        limit.take().unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(limit.standing().remaining, 10_000_000);
    }

    #[test]
    fn a_limit_is_a_number_that_makes_sense() {
        for bad in [0, -1, 10_000_001, i64::MAX] {
            assert!(PerMinute::try_from(bad).is_err(), "{bad}");
        }
    }
}
