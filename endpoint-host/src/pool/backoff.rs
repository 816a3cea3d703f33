//! Pauses between failures, each twice as long as the one before.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(50);

/// Pauses get no longer than this.
const LONGEST: Duration = Duration::from_secs(10);

/// For how long what failed last is not tried again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// The last pause, and its end; none after a success.
    last: Option<(Duration, Instant)>,
}

impl Backoff {
    /// Begins a pause, twice as long as the last.
    pub(super) fn failed(&mut self) {
        let before = self.last.map_or(Duration::ZERO, |(pause, _)| pause);
        let pause = (2 * before).clamp(SHORTEST, LONGEST);
        self.last = Some((pause, Instant::now() + pause));
    }

    /// Begins anew.
    pub(super) fn succeeded(&mut self) {
        self.last = None;
    }

    /// How long nothing is tried.
    pub(super) fn left(&self) -> Duration {
        let until = self.last.map(|(_, until)| until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
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
            backoff.failed();
            pauses.push(backoff.left().as_millis());
            tokio::time::advance(backoff.left()).await;
            assert_eq!(backoff.left(), Duration::ZERO);
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.succeeded();
        backoff.failed();
        assert_eq!(backoff.left(), SHORTEST);
    }
}
