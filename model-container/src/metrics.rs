//! What the container counts and times, as Prometheus reads it at `/metrics`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::encode`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one container.
pub struct Metrics {
    registry: Registry,
    requests: Family<Status, Counter>,
    /// From a request's first byte to its answer.
    request_duration: Histogram,
    /// How long a request waited for a model to be free; those that did not wait are not counted.
    pub(crate) queue_duration: Histogram,
    /// How long the model worked at one batch.
    pub(crate) inference_duration: Histogram,
    /// How many documents one batch held.
    pub(crate) batch_size: Histogram,
    cold_start: Family<Stage, Gauge<f64, AtomicU64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    path: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("model_container"),
            requests: Family::default(),
            request_duration: durations(),
            queue_duration: durations(),
            inference_duration: durations(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            cold_start: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered", self.requests.clone());
        let mut seconds = |name, help, metric: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
        };
        seconds("request_duration", "From first byte to answer", &self.request_duration);
        seconds("queue_duration", "Waiting for a free model", &self.queue_duration);
        seconds("inference_duration", "The model's work at one batch", &self.inference_duration);
        registry.register("batch_size", "Documents in one batch", self.batch_size.clone());
        let help = "How long each stage of the start took";
        registry.register_with_unit("cold_start", help, Unit::Seconds, self.cold_start.clone());
    }

    /// Counts one answered request.
    pub(crate) fn answered(&self, path: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Status { path, status }).inc();
        self.request_duration.observe(took.as_secs_f64());
    }

    /// Notes how long a stage of the start took.
    pub(crate) fn started(&self, stage: &'static str, took: Duration) {
        self.cold_start.get_or_create(&Stage { stage }).set(took.as_secs_f64());
    }

    /// All of them as text.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into memory can't fail");
        text
    }
}

/// From 10 µs, a short text in a lexicon, to 80 s, past every deadline.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_01, 2.0, 24))
}
