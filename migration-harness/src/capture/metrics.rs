//! What a capture counts, as Prometheus reads it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The upper bounds of latencies, in seconds.
const BOUNDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Why a call that was to be recorded is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The disk was slower than the calls.
    Queue,
    /// Bodies under way took all the memory that they may.
    Memory,
    /// The disk refused it.
    Disk,
}

impl Lost {
    const ALL: [Self; 3] = [Self::Queue, Self::Memory, Self::Disk];

    fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

/// The counts of one capture.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    captured: Counter,
    dropped: Family<Cause, Counter>,
    skipped: Counter,
    bytes: Counter,
    failures: Counter,
    latency: Histogram,
}

impl Metrics {
    /// All at zero.
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("parity_capture");
        let (captured, skipped, bytes, failures) = Default::default();
        let dropped = Family::<Cause, Counter>::default();
        let latency = Histogram::new(BOUNDS);
        for lost in Lost::ALL {
            let _ = dropped.get_or_create(&Cause { cause: lost.name() });
        }
        let metrics = Self {
            registry: Registry::default(),
            captured,
            dropped,
            skipped,
            bytes,
            failures,
            latency,
        };
        registry.register("captured", "Calls in the records.", metrics.captured.clone());
        registry.register("dropped", "Calls that are missing in them.", metrics.dropped.clone());
        let help = "Calls that were not to be recorded: not drawn, or without a model's name.";
        registry.register("skipped", help, metrics.skipped.clone());
        registry.register("bytes", "Bytes of JSON lines written.", metrics.bytes.clone());
        let help = "Calls that the upstream did not answer.";
        registry.register("upstream_failures", help, metrics.failures.clone());
        let help = "From the request's head to the answer's.";
        registry.register("upstream_seconds", help, metrics.latency.clone());
        Self { registry, ..metrics }
    }

    /// Calls were written.
    pub(super) fn capture(&self, calls: u64, bytes: u64) {
        self.captured.inc_by(calls);
        self.bytes.inc_by(bytes);
    }

    /// Calls were lost.
    pub(super) fn lose(&self, why: Lost, calls: u64) {
        self.dropped.get_or_create(&Cause { cause: why.name() }).inc_by(calls);
    }

    /// A call was not to be recorded.
    pub(super) fn skip(&self) {
        self.skipped.inc();
    }

    /// The upstream answered.
    pub(super) fn answered(&self, after: Duration) {
        self.latency.observe(after.as_secs_f64());
    }

    /// The upstream didn't.
    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    /// How many calls were lost.
    pub(super) fn lost(&self) -> u64 {
        let count = |lost: Lost| {
            let cause = Cause { cause: lost.name() };
            self.dropped.get_or_create(&cause).get()
        };
        Lost::ALL.into_iter().map(count).sum()
    }

    /// All counts as text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes text");
        text
    }

    /// The counts in a sentence.
    pub(super) fn summary(&self) -> String {
        let (captured, skipped) = (self.captured.get(), self.skipped.get());
        let lost = self.lost();
        format!("captured {captured} calls, dropped {lost}, skipped {skipped}")
    }
}
