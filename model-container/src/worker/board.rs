//! What each worker is doing, kept so that a ping is answered without asking any of them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A call waits for a worker that starts as soon as this.
const WORTH_WAITING: Duration = Duration::from_secs(1);

/// What one worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It was started and has not passed its canaries yet.
    Starting,
    /// It has passed them and runs; whether it is busy does not matter.
    Well,
    /// It has ended; the next one starts then.
    Down(Instant),
}

#[derive(Debug, Clone)]
struct Slot {
    phase: Phase,
    /// How the last process ended, and when.
    failure: Option<(Instant, String)>,
}

/// All workers of a model.
pub(super) struct Board(watch::Sender<Vec<Slot>>);

impl Board {
    /// A board of so many workers that are being started.
    pub(super) fn new(workers: usize) -> Self {
        Self(watch::Sender::new(vec![Slot { phase: Phase::Starting, failure: None }; workers]))
    }

    /// Notes what a worker is doing now.
    pub(super) fn set(&self, worker: usize, phase: Phase) {
        self.0.send_modify(|slots| slots[worker].phase = phase);
    }

    /// Notes how a worker ended, and when the next one starts.
    pub(super) fn failed(&self, worker: usize, failure: String, next: Instant) {
        let failure = Some((Instant::now(), failure));
        self.0.send_modify(|slots| slots[worker] = Slot { phase: Phase::Down(next), failure });
    }

    /// Waits until one worker is well, or the first process of each has failed.
    pub(super) async fn first(&self) -> Result<(), String> {
        let mut board = self.0.subscribe();
        let is_decided = |slots: &Vec<Slot>| is_well(slots) || all_failed(slots);
        let slots = board.wait_for(is_decided).await.expect("the sender is ours");
        if is_well(&slots) { Ok(()) } else { Err(last_failure(&slots).unwrap_or_default()) }
    }

    /// Why it is no use to wait, where none is well and none starts soon.
    pub(super) fn outage(&self) -> Option<String> {
        let soon = Instant::now() + WORTH_WAITING;
        let is_out = |slot: &Slot| matches!(slot.phase, Phase::Down(next) if next > soon);
        let all_out = self.0.borrow().iter().all(is_out);
        all_out.then(|| self.health().err()).flatten()
    }

    /// Whether any worker is well, or why none is.
    pub(super) fn health(&self) -> Result<(), String> {
        let slots = self.0.borrow();
        if is_well(&slots) {
            return Ok(());
        }
        let last = last_failure(&slots);
        let Some(last) = last else {
            return Err("no worker is running: the first is being started".to_owned());
        };
        Err(format!("no worker is running: the last one {last}; {}", next_start(&slots)))
    }
}

fn is_well(slots: &[Slot]) -> bool {
    slots.iter().any(|slot| slot.phase == Phase::Well)
}

fn all_failed(slots: &[Slot]) -> bool {
    slots.iter().all(|slot| slot.failure.is_some())
}

fn last_failure(slots: &[Slot]) -> Option<String> {
    let failures = slots.iter().filter_map(|slot| slot.failure.as_ref());
    failures.max_by_key(|(at, _)| *at).map(|(_, failure)| failure.clone())
}

fn next_start(slots: &[Slot]) -> String {
    let pause = |slot: &Slot| match slot.phase {
        Phase::Down(next) => next.saturating_duration_since(Instant::now()),
        Phase::Starting | Phase::Well => Duration::ZERO,
    };
    match slots.iter().map(pause).min().unwrap_or_default() {
        Duration::ZERO => "the next is being started".to_owned(),
        pause => format!("the next starts in {} ms", pause.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn health_is_one_worker_that_is_well_or_a_sentence() {
        let board = Board::new(2);
        let health = || board.health().unwrap_err();
        assert_eq!(health(), "no worker is running: the first is being started");
        board.set(0, Phase::Well);
        board.failed(1, "was ended by signal 11".to_owned(), Instant::now());
        assert_eq!(board.health(), Ok(()));

        tokio::time::advance(Duration::from_millis(1)).await;
        let next = Instant::now() + Duration::from_millis(200);
        board.failed(0, "was ended by signal 9".to_owned(), next);
        let reason = "no worker is running: the last one was ended by signal 9; the next";
        assert_eq!(health(), format!("{reason} is being started"));
        board.failed(1, "was ended by signal 9".to_owned(), next);
        assert_eq!(health(), format!("{reason} starts in 200 ms"));
        assert_eq!(board.outage(), None);

        let next = Instant::now() + Duration::from_secs(2);
        board.failed(0, "was ended by signal 9".to_owned(), next);
        assert_eq!(board.outage(), None);
        board.failed(1, "was ended by signal 9".to_owned(), next);
        assert_eq!(board.outage(), Some(format!("{reason} starts in 2000 ms")));
    }

    #[tokio::test]
    async fn the_first_start_is_decided_by_the_first_success_or_the_last_failure() {
        let board = Board::new(2);
        board.failed(0, "exited with 3".to_owned(), Instant::now());
        board.set(0, Phase::Starting);
        board.set(1, Phase::Well);
        assert_eq!(board.first().await, Ok(()));
        board.failed(1, "exited with 4".to_owned(), Instant::now());
        assert_eq!(board.first().await, Err("exited with 4".to_owned()));
    }
}
