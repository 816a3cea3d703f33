//! Whether an endpoint that does not answer may be starting, which is no failure.
//!
//! Pure, as the breaker is: the time is told to it, and how long answers take at most.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that a call is taken to wait for a start.
const COLD_START: Duration = Duration::from_secs(30);
/// An endpoint that has not answered for so long may have gone to sleep.
const WARM: Duration = Duration::from_secs(60);

/// When an endpoint was heard of, and when not.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// When the first call began of those under way.
    busy_since: Option<Instant>,
    /// When the last answer came.
    answered_at: Option<Instant>,
    /// When the call began that began last of those that were answered.
    last_answered: Option<Instant>,
    silence: Option<Silence>,
    /// Whether it may have been asleep when the first call began of those under way.
    was_asleep: bool,
}

/// The last time that calls were under way and none was answered for longer than answers take.
#[derive(Debug)]
struct Silence {
    /// When it ended. Calls that began before have waited for the endpoint.
    ended: Instant,
    /// When the last of them was answered.
    last_heard: Instant,
    /// Whether the endpoint may have been asleep before.
    is_start: bool,
}

impl Hearing {
    /// A call begins while none is under way.
    pub(super) fn listen(&mut self, now: Instant) {
        self.busy_since = Some(now);
        self.was_asleep = self.may_sleep(now);
    }

    /// A call that began then is answered. Says whether it had to wait for a start, which says
    /// nothing of how soon answers come.
    pub(super) fn hear(&mut self, begun: Instant, now: Instant, usual: Duration) -> bool {
        if self.is_silent(now, usual) {
            self.silence = Some(Silence { ended: now, last_heard: now, is_start: self.was_asleep });
            self.was_asleep = false;
        }
        self.answered_at = Some(now);
        self.last_answered = self.last_answered.max(Some(begun));
        let waited = self.silence.as_mut().filter(|silence| begun < silence.ended);
        waited.is_some_and(|silence| {
            silence.last_heard = now;
            silence.is_start
        })
    }

    /// Whether nothing was heard, though calls were under way, for longer than answers take.
    pub(super) fn is_silent(&self, now: Instant, usual: Duration) -> bool {
        self.silent_for(now).is_some_and(|silent| silent >= usual)
    }

    /// Whether a call that began then, and has no answer, may be waiting for a start: no call that
    /// began later was answered without having waited, too, and it has not been long.
    pub(super) fn may_be_starting(&self, begun: Instant, now: Instant, usual: Duration) -> bool {
        let is_ahead = self.last_answered.is_none_or(|answered| answered < begun);
        (is_ahead || self.may_be_next(begun, now, usual))
            && now.saturating_duration_since(begun) < COLD_START
            && !self.is_dead(now)
    }

    /// Whether nothing was heard, though calls were under way, for longer than a start takes.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        self.is_silent(now, COLD_START)
    }

    /// Whether it has not answered for so long that the next call may find it asleep.
    pub(super) fn may_sleep(&self, now: Instant) -> bool {
        self.answered_at.is_none_or(|at| now.saturating_duration_since(at) >= WARM)
    }

    fn silent_for(&self, now: Instant) -> Option<Duration> {
        let since = self.answered_at.max(self.busy_since)?;
        Some(now.saturating_duration_since(since))
    }

    /// Whether a call that began then has waited for the end of a silence, and such calls are
    /// being answered one after another.
    fn may_be_next(&self, begun: Instant, now: Instant, usual: Duration) -> bool {
        self.silence.as_ref().is_some_and(|silence| {
            let pause = now.saturating_duration_since(silence.last_heard);
            begun < silence.ended && pause < usual
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn calls_wait_for_a_start_until_one_that_began_later_is_answered_at_once() {
        let start = Instant::now();
        let at = |seconds: u32| start + SECOND * seconds;
        let mut hearing = Hearing::default();
        hearing.listen(at(0));
        assert!(hearing.may_be_starting(at(0), at(8), SECOND));
        // The last one of those that waited is answered first.
        assert!(hearing.hear(at(7), at(8), SECOND));
        assert!(hearing.may_be_starting(at(0), at(8), SECOND));
        assert!(hearing.hear(at(3), at(8), SECOND));
        // Those that waited are not answered one after another any more.
        let soon = at(8) + SECOND / 2;
        assert!(!hearing.hear(soon, soon, SECOND));
        assert!(!hearing.may_be_starting(at(0), at(9), SECOND));
        assert!(hearing.may_be_starting(at(10), at(11), SECOND));
    }

    #[tokio::test]
    async fn an_endpoint_that_nobody_calls_is_not_silent() {
        let start = Instant::now();
        let mut hearing = Hearing::default();
        assert!(!hearing.is_silent(start, SECOND) && hearing.may_sleep(start));
        hearing.listen(start);
        assert!(!hearing.hear(start, start, SECOND));
        let later = start + 30 * SECOND;
        hearing.listen(later);
        assert!(!hearing.is_silent(later + SECOND / 2, SECOND));
        assert!(!hearing.hear(later, later + SECOND / 2, SECOND));
        assert!(!hearing.may_sleep(later + WARM) && hearing.may_sleep(later + WARM + SECOND));
    }

    #[tokio::test]
    async fn no_start_takes_for_ever_however_many_new_calls_wait_for_it() {
        let start = Instant::now();
        let mut hearing = Hearing::default();
        hearing.listen(start);
        let late = start + COLD_START - SECOND;
        assert!(hearing.may_be_starting(late, late, SECOND));
        assert!(!hearing.may_be_starting(late, late + SECOND, SECOND));
    }
}
