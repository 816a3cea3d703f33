//! Which requests are in flight, and when the container may stop without losing one.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::time::{Instant, sleep};

/// A connection that was quiet for so long has no request on its way, as far as anyone can know.
const QUIET: Duration = Duration::from_millis(200);
/// How often a draining container looks whether it may stop.
const INTERVAL: Duration = Duration::from_millis(5);

/// The requests of one container.
pub(super) struct Traffic {
    begun: Instant,
    in_flight: AtomicUsize,
    /// When the last request ended, in milliseconds since `begun`.
    ended_ms: AtomicU64,
    is_draining: AtomicBool,
}

/// A request in flight, until dropped.
pub(super) struct InFlight<'a>(&'a Traffic);

impl Traffic {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            in_flight: AtomicUsize::new(0),
            ended_ms: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// Whether the container has been told to stop, so that clients should go elsewhere.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Waits until every open connection is quiet: a request that is already on its way through a
    /// connection kept alive would be lost if that were closed at once.
    pub(super) async fn drain(&self, connections: &GracefulShutdown) {
        self.is_draining.store(true, Ordering::Relaxed);
        while connections.count() > 0 && !self.is_quiet() {
            sleep(INTERVAL).await;
        }
    }

    fn is_quiet(&self) -> bool {
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        self.in_flight.load(Ordering::Relaxed) == 0 && self.begun.elapsed() > ended + QUIET
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let elapsed_ms = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended_ms.store(elapsed_ms, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
