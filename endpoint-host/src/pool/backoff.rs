//! Pauses between failures, each twice as long as the one before.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(50);

/// Pauses get no longer than this.
const LONGEST: Duration = Duration::from_secs(10);

/// What failed last, and for how long it is not tried again.
#[derive(Debug)]
pub(super) struct Backoff<T> {
    /// The last failure; none after a success.
    last: Option<Failure<T>>,
}

#[derive(Debug)]
struct Failure<T> {
    /// What was wrong.
    cause: T,
    /// The pause that it led to.
    pause: Duration,
    /// When that ends.
    until: Instant,
}

impl<T> Default for Backoff<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<T> Backoff<T> {
    /// Begins a pause, twice as long as the last.
    pub(super) fn failed(&mut self, cause: T) {
        let before = self.last.as_ref().map_or(Duration::ZERO, |last| last.pause);
        let pause = (2 * before).clamp(SHORTEST, LONGEST);
        self.last = Some(Failure { cause, pause, until: Instant::now() + pause });
    }

    /// Begins anew.
    pub(super) fn succeeded(&mut self) {
        self.last = None;
    }

    /// Why nothing is tried now, if it is not.
    pub(super) fn blocked(&self) -> Option<&T> {
        self.last.as_ref().filter(|last| last.until > Instant::now()).map(|last| &last.cause)
    }

    /// How long nothing is tried.
    pub(super) fn left(&self) -> Duration {
        self.last
            .as_ref()
            .map_or(Duration::ZERO, |last| last.until.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_ten_seconds_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            backoff.failed("no ink");
            pauses.push(backoff.left().as_millis());
            assert_eq!(backoff.blocked(), Some(&"no ink"));
            tokio::time::advance(backoff.left()).await;
            assert_eq!(backoff.blocked(), None);
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.succeeded();
        backoff.failed("no ink");
        assert_eq!(backoff.left(), SHORTEST);
    }
}
