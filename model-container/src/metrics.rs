//! What the container counts and times, as Prometheus reads it at `/metrics`.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::exposition::{self, Exposition};
use crate::package::Runtime;
use crate::prediction::Identity;
use crate::process::Process;
use crate::worker::Counters;

/// The metrics of one container.
pub struct Metrics {
    registry: Registry,
    requests: Family<Status, Counter>,
    pub(crate) requests_in_flight: Gauge,
    /// Whether `/ping` says 200.
    ready: Gauge,
    /// Always 1; its labels say which model answers.
    model: Family<Model, Gauge>,
    /// From a request's first byte to its answer.
    request_duration: Histogram,
    /// How many requests wait for a model now.
    pub(crate) queue_length: Gauge,
    /// How long a request waited for a model to be free; those that did not wait are not counted.
    pub(crate) queue_duration: Histogram,
    /// How long the model worked at one batch.
    pub(crate) inference_duration: Histogram,
    /// How many documents one batch held.
    pub(crate) batch_size: Histogram,
    /// What happened to worker processes.
    pub(crate) workers: Counters,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    name: String,
    version: String,
    digest: String,
    runtime: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            requests_in_flight: Gauge::default(),
            ready: Gauge::default(),
            model: Family::default(),
            request_duration: durations(),
            queue_length: Gauge::default(),
            queue_duration: durations(),
            inference_duration: durations(),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            workers: Counters::default(),
            cold_start: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        self.registry.register_collector(Box::new(Process::default()));
        let registry = self.registry.sub_registry_with_prefix("model_container");
        registry.register("requests", "Requests answered", self.requests.clone());
        let mut gauge = |name, help, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("requests_in_flight", "Requests being answered", &self.requests_in_flight);
        gauge("queue_length", "Requests waiting for a free model", &self.queue_length);
        gauge("ready", "Whether /ping says 200", &self.ready);
        registry.register("model_info", "The model that answers", self.model.clone());
        let mut seconds = |name, help, metric: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
        };
        seconds("request_duration", "From first byte to answer", &self.request_duration);
        seconds("queue_duration", "Waiting for a free model", &self.queue_duration);
        seconds("inference_duration", "The model's work at one batch", &self.inference_duration);
        registry.register("batch_size", "Documents in one batch", self.batch_size.clone());
        self.workers.register(registry);
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

    /// How long a stage of the start took, in milliseconds.
    pub(crate) fn stage_ms(&self, stage: &'static str) -> f64 {
        self.cold_start.get_or_create(&Stage { stage }).get() * 1000.0
    }

    /// Notes which model answers.
    pub(crate) fn loaded(&self, model: &Identity, runtime: Runtime) {
        let Identity { name, version, digest, .. } = model.clone();
        let model = Model { name, version, digest, runtime: runtime.to_string() };
        self.model.get_or_create(&model).set(1);
    }

    /// All of them, in the form that a scraper's `Accept` asks for.
    pub(crate) fn expose(&self, accept: Option<&str>, is_ready: bool) -> Exposition {
        self.ready.set(i64::from(is_ready));
        exposition::write(&self.registry, accept)
    }
}

/// From 10 µs, a short text in a lexicon, to 80 s, past every deadline.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_01, 2.0, 24))
}
