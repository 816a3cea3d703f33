//! The payloads that a model has failed at: failing at one of them again says nothing new.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::payload::PayloadHash;

/// How many are remembered,
const MOST: usize = 32;
/// and for how long after the last failure: what failed once may have been the model's bad day.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The last payloads that failed, and when.
#[derive(Debug, Default)]
pub(super) struct Culprits(VecDeque<(PayloadHash, Instant)>);

impl Culprits {
    /// Notes a failure at the payload. Says whether it was one of them.
    pub(super) fn accuse(&mut self, payload: PayloadHash, now: Instant) -> bool {
        let was_known = self.has(payload, now);
        self.0.retain(|(known, _)| *known != payload);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((payload, now));
        was_known
    }

    /// Whether the payload is one of them.
    pub(super) fn has(&self, payload: PayloadHash, now: Instant) -> bool {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < REMEMBERED;
        self.0.iter().any(|(known, at)| *known == payload && is_fresh(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_failed_long_ago_or_before_many_others_is_forgotten() {
        let now = Instant::now();
        let [one, other] = [1, 2].map(PayloadHash::of_test);
        let mut culprits = Culprits::default();
        assert!(!culprits.accuse(one, now) && culprits.accuse(one, now));
        assert!(culprits.has(one, now) && !culprits.has(other, now));
        assert!(!culprits.has(one, now + REMEMBERED));
        let late = now + REMEMBERED / 2;
        assert!(culprits.accuse(one, late) && culprits.has(one, now + REMEMBERED));
        (3..).take(MOST).for_each(|n| assert!(!culprits.accuse(PayloadHash::of_test(n), late)));
        assert!(!culprits.has(one, late));
    }
}
