//! What an endpoint may be asked besides the first attempt of each call.

use std::time::Duration;

use tokio::time::Instant;

/// Tokens that come with what goes well and with time, and go with each extra attempt.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: f64,
    terms: Terms,
    filled: Instant,
}

/// How a budget fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The most tokens that it keeps.
    pub(super) most: f64,
    /// What each deposit adds.
    pub(super) deposit: f64,
    /// What each second adds.
    pub(super) per_second: f64,
}

impl Budget {
    /// A full one.
    pub(super) fn new(terms: Terms, now: Instant) -> Self {
        Self { tokens: terms.most, terms, filled: now }
    }

    /// Adds what one call brings.
    pub(super) fn deposit(&mut self) {
        self.tokens = (self.tokens + self.terms.deposit).min(self.terms.most);
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.tokens = self.tokens_at(now);
        self.filled = now;
        let is_enough = self.tokens >= 1.0;
        if is_enough {
            self.tokens -= 1.0;
        }
        is_enough
    }

    /// How many tokens there are.
    pub(super) fn tokens_at(&self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.filled).max(Duration::ZERO).as_secs_f64();
        (self.tokens + seconds * self.terms.per_second).min(self.terms.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fifth_of_the_calls_may_be_made_again_and_one_a_second() {
        let now = Instant::now();
        let terms = Terms { most: 10.0, deposit: 0.2, per_second: 1.0 };
        let mut budget = Budget::new(terms, now);
        assert_eq!((0..20).filter(|_| budget.take(now)).count(), 10);
        (0..100).for_each(|_| budget.deposit());
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), 10);
        (0..25).for_each(|_| budget.deposit());
        assert_eq!((0..100).filter(|_| budget.take(now)).count(), 5);
        let later = now + Duration::from_secs(3);
        assert_eq!((0..100).filter(|_| budget.take(later)).count(), 3);
    }
}
