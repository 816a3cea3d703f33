//! What is counted of each endpoint, for Prometheus.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::call::Status;
use super::failure::{Failure, Hope};

/// The bounds of the histogram, in seconds: from a quick model to a slow start.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The metrics of all endpoints.
#[derive(Clone, Debug)]
pub(crate) struct EndpointMetrics {
    attempts: Family<Ending, Counter>,
    seconds: Family<Endpoint, Histogram, fn() -> Histogram>,
    in_flight: Family<Endpoint, Gauge>,
    waiting: Family<Endpoint, Gauge>,
    breaker_open: Family<Endpoint, Gauge>,
    throttled: Family<Endpoint, Gauge>,
    breaker_openings: Family<Endpoint, Counter>,
    retries: Family<Endpoint, Counter>,
    hedges: Family<Endpoint, Counter>,
    account_calls: Gauge,
    account_waiting: Gauge,
    /// Those of endpoints that have a lane.
    meters: Arc<Mutex<HashMap<String, Weak<Meter>>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    endpoint: String,
    outcome: &'static str,
}

/// The metrics of one endpoint, shared by all of its lanes: they go with the last one.
#[derive(Debug)]
pub(super) struct Meter {
    all: EndpointMetrics,
    label: Endpoint,
    /// By how they ended, in the order of [`Outcome::ALL`].
    attempts: [Counter; Outcome::ALL.len()],
    seconds: Histogram,
    in_flight: Gauge,
    waiting: Gauge,
    breaker_open: Gauge,
    throttled: Gauge,
    breaker_openings: Counter,
    retries: Counter,
    hedges: Counter,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With an answer that can be used.
    Ok,
    /// Without one for longer than answers take.
    Timeout,
    /// The endpoint has too much to do.
    Throttled,
    /// The endpoint says that it is starting.
    Starting,
    /// In any other way.
    Failed,
    /// Nobody wanted it any more.
    Cancelled,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Ok, Self::Timeout, Self::Throttled, Self::Starting, Self::Failed, Self::Cancelled];

    pub(super) fn of(failure: &Failure) -> Self {
        match failure.status {
            Status::Timeout => Self::Timeout,
            Status::Throttled if failure.hope == Hope::Starting => Self::Starting,
            Status::Throttled => Self::Throttled,
            _ => Self::Failed,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Starting => "starting",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Default for EndpointMetrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BOUNDS);
        Self {
            attempts: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            in_flight: Family::default(),
            waiting: Family::default(),
            breaker_open: Family::default(),
            throttled: Family::default(),
            breaker_openings: Family::default(),
            retries: Family::default(),
            hedges: Family::default(),
            account_calls: Gauge::default(),
            account_waiting: Gauge::default(),
            meters: Arc::default(),
        }
    }
}

impl EndpointMetrics {
    /// Has them exposed.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Calls of SageMaker under way, which --account-concurrency bounds";
        registry.register("account_calls", help, self.account_calls.clone());
        let help = "Calls of SageMaker that wait for others to end";
        registry.register("account_waiting", help, self.account_waiting.clone());
        let registry = registry.sub_registry_with_prefix("endpoint");
        registry.register("attempts", "Calls made, by how they ended", self.attempts.clone());
        let help = "How long answers took";
        registry.register_with_unit("answer", help, Unit::Seconds, self.seconds.clone());
        registry.register("in_flight", "Calls under way", self.in_flight.clone());
        registry.register("waiting", "Calls that wait for their turn", self.waiting.clone());
        let help = "Whether calls fail at once, since the endpoint does";
        registry.register("breaker_open", help, self.breaker_open.clone());
        let help = "Whether calls fail at once, since the endpoint throttles";
        registry.register("throttled", help, self.throttled.clone());
        let help = "How often its breaker has opened";
        registry.register("breaker_openings", help, self.breaker_openings.clone());
        registry.register("retries", "Calls made again", self.retries.clone());
        registry.register("hedges", "Calls made twice for being late", self.hedges.clone());
    }

    /// The metrics of an endpoint.
    pub(super) fn of(&self, endpoint: &str) -> Arc<Meter> {
        let mut meters = self.lock();
        if let Some(meter) = meters.get(endpoint).and_then(Weak::upgrade) {
            return meter;
        }
        let meter = Arc::new(self.make(endpoint));
        meters.insert(endpoint.to_owned(), Arc::downgrade(&meter));
        meter
    }

    /// Notes how many calls wait for their turn, where the endpoint has a lane.
    pub(super) fn note_waiting(&self, endpoint: &str, calls: usize) {
        let meter = self.lock().get(endpoint).and_then(Weak::upgrade);
        if let Some(meter) = meter {
            meter.waiting.set(i64::try_from(calls).unwrap_or(i64::MAX));
        }
    }

    /// Notes how many calls of SageMaker are under way and wait.
    pub(super) fn note_account(&self, calls: usize, waiting: usize) {
        let gauge = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.account_calls.set(gauge(calls));
        self.account_waiting.set(gauge(waiting));
    }

    /// Exposes no more of an endpoint, though some calls of it may be under way.
    pub(super) fn forget(&self, endpoint: &str) {
        let mut meters = self.lock();
        if meters.remove(endpoint).is_some() {
            self.remove(&Endpoint { endpoint: endpoint.to_owned() });
        }
    }

    /// Whether an endpoint is exposed.
    #[cfg(test)]
    pub(super) fn knows(&self, endpoint: &str) -> bool {
        self.lock().contains_key(endpoint)
    }

    fn make(&self, endpoint: &str) -> Meter {
        let label = Endpoint { endpoint: endpoint.to_owned() };
        let ending = |outcome| self.attempts.get_or_create(&label.ending(outcome)).clone();
        Meter {
            all: self.clone(),
            attempts: Outcome::ALL.map(ending),
            seconds: self.seconds.get_or_create(&label).clone(),
            in_flight: self.in_flight.get_or_create(&label).clone(),
            waiting: self.waiting.get_or_create(&label).clone(),
            breaker_open: self.breaker_open.get_or_create(&label).clone(),
            throttled: self.throttled.get_or_create(&label).clone(),
            breaker_openings: self.breaker_openings.get_or_create(&label).clone(),
            retries: self.retries.get_or_create(&label).clone(),
            hedges: self.hedges.get_or_create(&label).clone(),
            label,
        }
    }

    fn remove(&self, label: &Endpoint) {
        for outcome in Outcome::ALL {
            self.attempts.remove(&label.ending(outcome));
        }
        self.seconds.remove(label);
        self.in_flight.remove(label);
        self.waiting.remove(label);
        self.breaker_open.remove(label);
        self.throttled.remove(label);
        self.breaker_openings.remove(label);
        self.retries.remove(label);
        self.hedges.remove(label);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Meter>>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    fn ending(&self, outcome: Outcome) -> Ending {
        Ending { endpoint: self.endpoint.clone(), outcome: outcome.as_str() }
    }
}

impl Meter {
    /// An attempt has begun.
    pub(super) fn begun(&self) {
        self.in_flight.inc();
    }

    /// An attempt has ended so, after this long.
    pub(super) fn ended(&self, outcome: Outcome, took: Duration) {
        self.in_flight.dec();
        self.attempts[outcome as usize].inc();
        if outcome == Outcome::Ok {
            self.seconds.observe(took.as_secs_f64());
        }
    }

    /// The breaker has opened.
    pub(super) fn opened(&self) {
        self.breaker_openings.inc();
        self.breaker_open.set(1);
    }

    /// Whether calls fail at once, since the endpoint does.
    pub(super) fn is_open(&self, is_open: bool) {
        self.breaker_open.set(i64::from(is_open));
    }

    /// Whether calls fail at once, since the endpoint throttles.
    pub(super) fn is_spared(&self, is_spared: bool) {
        self.throttled.set(i64::from(is_spared));
    }

    /// A call is made again.
    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    /// A call is made twice.
    pub(super) fn hedged(&self) {
        self.hedges.inc();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let mut meters = self.all.lock();
        // A new lane may have taken them up since the last one went.
        let is_last = |meter: &Weak<Self>| meter.strong_count() == 0;
        if meters.get(&self.label.endpoint).is_some_and(is_last) {
            meters.remove(&self.label.endpoint);
            self.all.remove(&self.label);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    /// The lines of all metrics that have this in them.
    fn lines(registry: &Registry, part: &str) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    #[test]
    fn lanes_of_one_label_share_its_series_which_go_with_the_last() {
        let (metrics, mut registry) = (EndpointMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let (one, other) = (metrics.of("http://x/"), metrics.of("http://x/"));
        one.begun();
        one.ended(Outcome::Ok, Duration::ZERO);
        drop(one);
        other.begun();
        other.ended(Outcome::Ok, Duration::ZERO);
        metrics.note_waiting("http://x/", 3);
        metrics.note_waiting("http://y/", 3);
        let attempts = "endpoint_attempts_total{endpoint=\"http://x/\",outcome=\"ok\"} 2";
        assert_eq!(lines(&registry, "outcome=\"ok\""), [attempts]);
        assert_eq!(lines(&registry, "waiting{"), ["endpoint_waiting{endpoint=\"http://x/\"} 3"]);
        drop(other);
        assert!(lines(&registry, "http://").is_empty());
        drop(metrics.of("http://x/"));
        assert!(lines(&registry, "http://").is_empty() && metrics.lock().is_empty());
    }

    #[test]
    fn each_outcome_has_a_counter_of_its_own() {
        let (metrics, mut registry) = (EndpointMetrics::default(), Registry::default());
        metrics.register(&mut registry);
        let meter = metrics.of("x");
        for (count, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..count).for_each(|_| meter.ended(outcome, Duration::ZERO));
            let line = lines(&registry, &format!("outcome=\"{}\"", outcome.as_str()));
            assert!(line[0].ends_with(&format!("}} {count}")), "{line:?}");
        }
    }
}
