//! When each call is due: at once, at a fixed rate, or at the times that were captured.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Calls whose turn has passed may follow at once for this long; those before are not caught up
/// with. It makes up for timers, which are late by some tenths of a millisecond.
const CREDIT: Duration = Duration::from_millis(1);
/// Shorter naps would wake up for each single call of a fast replay.
const SHORTEST_NAP: Duration = Duration::from_micros(250);
/// A hundred years: clocks may jump, and times have an end.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
/// What is left to wait at most when the runtime's timer, which counts milliseconds, is left.
const FINE: Duration = Duration::from_millis(3);

/// What the calls follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// Nothing: the next call is made as soon as one has ended.
    Free,
    /// So many calls a second, and never more.
    Rate(f64),
    /// The gaps between the captured calls.
    Recorded {
        /// How many times faster.
        speed: f64,
        /// What longer gaps are cut to.
        max_gap: Duration,
    },
}

/// Tells when the next call is due.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: Pace,
    /// When the first call was due.
    begun: Option<Instant>,
    /// How long after that the last one was, if all went as it should.
    offset: Duration,
    /// How many calls were due before.
    calls: u64,
    /// The moment before which the last call was not made.
    slot: Option<Instant>,
    /// When the last call was captured.
    captured_at: Option<Timestamp>,
    odd: OddGaps,
}

/// Gaps between captured calls that were not kept to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OddGaps {
    /// The clock ran backwards.
    pub(crate) backwards: u64,
    /// Longer than is waited.
    pub(crate) cut: u64,
}

/// When a call is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// When it should be made, if all went as it should.
    pub(crate) intended: Instant,
    /// When it may be made.
    pub(crate) earliest: Instant,
}

impl Pacer {
    /// Begins with the first call.
    pub(crate) fn new(pace: Pace) -> Self {
        let odd = OddGaps::default();
        Self {
            pace,
            begun: None,
            offset: Duration::ZERO,
            calls: 0,
            slot: None,
            captured_at: None,
            odd,
        }
    }

    /// Waits for the turn of the next call, which was captured then; when it should have been made.
    pub(crate) async fn turn(&mut self, captured_at: Timestamp) -> Instant {
        let now = Instant::now();
        if self.pace == Pace::Free {
            return now;
        }
        let due = self.due(now, captured_at);
        sleep(due.earliest.saturating_duration_since(now)).await;
        due.intended
    }

    /// Which gaps were odd until now.
    pub(crate) fn odd_gaps(&self) -> OddGaps {
        self.odd
    }

    fn due(&mut self, now: Instant, captured_at: Timestamp) -> Due {
        let begun = *self.begun.get_or_insert(now);
        match self.pace {
            Pace::Free => Due { intended: now, earliest: now },
            Pace::Rate(rate) => {
                let intended = begun + Duration::from_secs_f64(self.calls as f64 / rate);
                self.calls += 1;
                Due { intended, earliest: self.next_slot(now, 1.0 / rate) }
            }
            Pace::Recorded { speed, max_gap } => {
                let gap = self.gap(captured_at, max_gap);
                self.offset = (self.offset + gap.div_f64(speed)).min(LONGEST);
                Due { intended: begun + self.offset, earliest: begun + self.offset }
            }
        }
    }

    /// A turn after the last slot; slots that have passed by more than the credit are lost.
    fn next_slot(&mut self, now: Instant, seconds: f64) -> Instant {
        let oldest = now.checked_sub(CREDIT).unwrap_or(now);
        let next = self.slot.map(|slot| slot + Duration::from_secs_f64(seconds));
        let slot = next.map_or(now, |next| next.max(oldest));
        *self.slot.insert(slot)
    }

    fn gap(&mut self, captured_at: Timestamp, max_gap: Duration) -> Duration {
        let Some(last) = self.captured_at.replace(captured_at) else { return Duration::ZERO };
        let Ok(gap) = Duration::try_from(captured_at.duration_since(last)) else {
            self.odd.backwards += 1;
            return Duration::ZERO;
        };
        self.odd.cut += u64::from(gap > max_gap);
        gap.min(max_gap)
    }
}

/// Sleeps to within a tenth of a millisecond or so.
async fn sleep(wait: Duration) {
    if wait.is_zero() {
        return;
    }
    let until = Instant::now() + wait;
    if wait > FINE {
        tokio::time::sleep(wait.saturating_sub(FINE)).await;
    }
    let left = until.saturating_duration_since(Instant::now()).max(SHORTEST_NAP);
    // It panics never, and where the runtime is ending nobody waits any more.
    let _ = tokio::task::spawn_blocking(move || thread::sleep(left)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// When calls are made by one who is ready at once, but for a stall before one of them.
    fn calls(
        rate: f64,
        count: usize,
        stall: (usize, Duration),
    ) -> (Instant, Vec<Due>, Vec<Instant>) {
        let mut pacer = Pacer::new(Pace::Rate(rate));
        let begun = Instant::now();
        let (mut now, mut dues, mut made) = (begun, Vec::new(), Vec::new());
        for call in 0..count {
            now += if call == stall.0 { stall.1 } else { Duration::ZERO };
            let due = pacer.due(now, at(0));
            now = now.max(due.earliest);
            dues.push(due);
            made.push(now);
        }
        (begun, dues, made)
    }

    #[test]
    fn a_rate_is_met_and_intended_times_are_even() {
        let (begun, dues, made) = calls(20_000.0, 20_001, (0, Duration::ZERO));
        assert_eq!(dues[20_000].intended, begun + Duration::from_secs(1));
        let took = made[20_000] - begun;
        assert!(took.abs_diff(Duration::from_secs(1)) < MS, "{took:?}");
    }

    #[test]
    fn after_a_stall_a_rate_is_not_exceeded_and_calls_stay_late() {
        let stall = Duration::from_millis(500);
        let (_, dues, made) = calls(1000.0, 2000, (1000, stall));
        for (first, last) in made.iter().zip(&made[100..]) {
            assert!(*last - *first >= MS * 98, "{:?}", *last - *first);
        }
        let lateness = made[1999] - dues[1999].intended;
        assert!(lateness >= stall - 3 * MS, "{lateness:?}");
    }

    #[test]
    fn late_timers_are_made_up_for_within_the_credit() {
        let mut pacer = Pacer::new(Pace::Rate(20_000.0));
        let begun = Instant::now();
        pacer.due(begun, at(0));
        let late = begun + MS / 2;
        let ready = (0..20).filter(|_| pacer.due(late, at(0)).earliest <= late).count();
        assert_eq!(ready, 10);
    }

    #[test]
    fn gaps_without_end_have_one() {
        let max_gap = Duration::MAX;
        let mut pacer = Pacer::new(Pace::Recorded { speed: 0.001, max_gap });
        let now = Instant::now();
        for second in [-377_000_000_000, 253_000_000_000].repeat(100_000) {
            pacer.due(now, at(second));
        }
        assert_eq!(pacer.due(now, at(0)).intended, now + LONGEST);
    }

    #[test]
    fn recorded_gaps_are_kept_faster_cut_and_never_negative() {
        let max_gap = Duration::from_secs(10);
        let mut pacer = Pacer::new(Pace::Recorded { speed: 2.0, max_gap });
        let now = Instant::now();
        let times = [0, 4, 2, 3, 1000];
        let offsets = times.map(|second| (pacer.due(now, at(second)).intended - now).as_millis());
        assert_eq!(offsets, [0, 2000, 2000, 2500, 7500]);
        assert_eq!(pacer.odd_gaps(), OddGaps { backwards: 1, cut: 1 });
    }
}
