//! What a capture counts, as Prometheus reads it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The upper bounds of latencies, in seconds.
pub(crate) const BOUNDS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

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
pub(crate) struct Metrics {
    captured: Counter,
    dropped: Family<Cause, Counter>,
    skipped: Counter,
    bytes: Counter,
    failures: Counter,
    latency: Histogram,
}

impl Metrics {
    /// All at zero, where they are to be found as text.
    pub(crate) fn new(counts: &mut Registry) -> Self {
        let (captured, skipped, bytes, failures) = Default::default();
        let dropped = Family::<Cause, Counter>::default();
        for lost in Lost::ALL {
            let _ = dropped.get_or_create(&Cause { cause: lost.name() });
        }
        let latency = Histogram::new(BOUNDS);
        let metrics = Self { captured, dropped, skipped, bytes, failures, latency };
        metrics.register(counts.sub_registry_with_prefix("parity_capture"));
        metrics
    }

    fn register(&self, counts: &mut Registry) {
        let help = "Calls that were copied whole, or as far as they went";
        counts.register("captured", help, self.captured.clone());
        let help = "Calls that were to be copied and are missing";
        counts.register("dropped", help, self.dropped.clone());
        let help = "Calls that were not to be copied: not drawn, or without a model's name";
        counts.register("skipped", help, self.skipped.clone());
        counts.register("bytes", "Bytes of JSON lines written", self.bytes.clone());
        let help = "Calls that the upstream did not answer";
        counts.register("upstream_failures", help, self.failures.clone());
        let help = "From the request's head to the answer's";
        counts.register("upstream_seconds", help, self.latency.clone());
    }

    /// Calls were kept, in as many bytes of files.
    pub(crate) fn capture(&self, calls: u64, bytes: u64) {
        self.captured.inc_by(calls);
        self.bytes.inc_by(bytes);
    }

    /// Calls were lost.
    pub(super) fn lose(&self, why: Lost, calls: u64) {
        self.dropped.get_or_create(&Cause { cause: why.name() }).inc_by(calls);
    }

    /// A call was not to be recorded.
    pub(crate) fn skip(&self) {
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
    pub(crate) fn lost(&self) -> u64 {
        let count = |lost: Lost| {
            let cause = Cause { cause: lost.name() };
            self.dropped.get_or_create(&cause).get()
        };
        Lost::ALL.into_iter().map(count).sum()
    }

    /// The counts in a sentence.
    pub(super) fn summary(&self) -> String {
        let (captured, skipped) = (self.captured.get(), self.skipped.get());
        let lost = self.lost();
        format!("captured {captured} calls, dropped {lost}, skipped {skipped}")
    }
}
