//! Keeps one worker running: starts it, starts it again when it ends, and lets it be replaced.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::board::Phase;
use super::fleet::Fleet;
use super::process::Process;
use super::runner::{End, REPLACEMENT_PAUSE, Runner};

/// Runs the worker number `worker` until all are to stop.
pub(super) async fn supervise(fleet: Arc<Fleet>, worker: usize) {
    let mut backoff = Backoff::default();
    loop {
        let started = tokio::select! {
            () = fleet.stop.cancelled() => return,
            started = fleet.start() => started,
        };
        let how = match started {
            Err(how) => how,
            Ok(process) => match keep(&fleet, worker, process, &mut backoff).await {
                None => return,
                Some(how) => how,
            },
        };
        let pause = backoff.pause();
        tracing::warn!(worker, restart_ms = pause.as_millis(), "the worker {how}");
        fleet.board.failed(worker, how, Instant::now() + pause);
        tokio::select! {
            () = fleet.stop.cancelled() => return,
            () = sleep(pause) => {}
        }
        fleet.board.set(worker, Phase::Starting);
        fleet.metrics.workers.restarts.inc();
    }
}

/// Runs a process and its successors; says how the last one died, nothing where it was stopped.
async fn keep(
    fleet: &Arc<Fleet>,
    worker: usize,
    mut process: Process,
    backoff: &mut Backoff,
) -> Option<String> {
    let mut replaceable_from = Instant::now();
    loop {
        let since = Instant::now();
        tracing::info!(worker, pid = process.id(), "the worker is well");
        fleet.board.set(worker, Phase::Well);
        match Runner::new(Arc::clone(fleet), process, replaceable_from).run().await {
            End::Stopped => return None,
            End::Died { how, has_answered } => {
                if has_answered {
                    backoff.reset();
                } else {
                    backoff.was_idle(since.elapsed());
                }
                return Some(how);
            }
            End::Outgrown { old, new } => {
                fleet.metrics.workers.recycled.inc();
                fleet.tasks.spawn(old.retire().run());
                process = new;
                // Where the mark is below what any process needs, the next is too large at once.
                replaceable_from = Instant::now() + REPLACEMENT_PAUSE;
            }
        }
    }
}

/// How long to wait before the next start.
#[derive(Default)]
struct Backoff(Duration);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);
    /// A worker that was well for so long is no reason to wait for long.
    const WELL: Duration = Duration::from_millis(500);

    /// Starts anew after a worker that did its work.
    fn reset(&mut self) {
        self.0 = Duration::ZERO;
    }

    /// Starts anew after one without work if it was well for longer than the pause before it.
    fn was_idle(&mut self, time: Duration) {
        if time >= self.0.max(Self::WELL) {
            self.reset();
        }
    }

    fn pause(&mut self) -> Duration {
        self.0 = (self.0 * 2).clamp(Self::FIRST, Self::LONGEST);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_start_anew_after_a_good_one() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..10).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
        backoff.was_idle(Duration::from_secs(29));
        assert_eq!(backoff.pause().as_millis(), 30000);
        backoff.was_idle(Duration::from_secs(30));
        assert_eq!(backoff.pause().as_millis(), 100);
        backoff.was_idle(Duration::from_millis(499));
        assert_eq!(backoff.pause().as_millis(), 200);
        backoff.reset();
        assert_eq!(backoff.pause().as_millis(), 100);
    }
}
