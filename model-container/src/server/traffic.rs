//! Which requests are in flight, and when the container may stop without losing one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, sleep};

/// A connection that was quiet for so long has no request on its way, as far as anyone can know.
const QUIET: Duration = Duration::from_millis(200);
/// How often a draining container looks whether it may stop.
const INTERVAL: Duration = Duration::from_millis(5);

/// The requests of one container.
pub(super) struct Traffic {
    begun: Instant,
    in_flight: Gauge,
    /// When the last request ended, in milliseconds since `begun`.
    ended_ms: AtomicU64,
    is_draining: AtomicBool,
}

/// A request in flight, until dropped.
pub(super) struct InFlight<'a> {
    traffic: &'a Traffic,
    ended: Option<Instant>,
}

impl Traffic {
    /// Counts the requests in flight by this gauge.
    pub(super) fn new(in_flight: Gauge) -> Self {
        Self {
            begun: Instant::now(),
            in_flight,
            ended_ms: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn enter(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight { traffic: self, ended: None }
    }

    /// Whether the container has been told to stop, so that clients should go elsewhere.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Waits until every open connection is quiet: a request that is already on its way through a
    /// connection kept alive would be lost if that were closed at once.
    pub(super) async fn drain(&self, connections: &GracefulShutdown) {
        self.is_draining.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while connections.count() > 0 && (begun.elapsed() < QUIET || !self.is_quiet()) {
            sleep(INTERVAL).await;
        }
    }

    fn is_quiet(&self) -> bool {
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        self.in_flight.get() == 0 && self.begun.elapsed() > ended + QUIET
    }
}

impl InFlight<'_> {
    /// Says when the request was answered, for one whose caller goes away is not.
    pub(super) fn answered(mut self, ended: Instant) {
        self.ended = Some(ended);
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let ended = self.ended.unwrap_or_else(Instant::now) - self.traffic.begun;
        let ended_ms = u64::try_from(ended.as_millis()).unwrap_or(u64::MAX);
        self.traffic.ended_ms.store(ended_ms, Ordering::Relaxed);
        self.traffic.in_flight.dec();
    }
}
