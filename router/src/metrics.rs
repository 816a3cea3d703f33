//! What the router counts, as Prometheus reads it at `/metrics`.

mod clients;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::fanout::EndpointMetrics;
use crate::fanout::call::Status;
use crate::policy::Policy;
use crate::policy::name::Name;
use crate::policy::scope::Outcome;
use crate::problem::Kind;
use crate::shadow::Shadows;

use clients::Clients;

/// The metrics of one router. Rules are no labels: there are too many of them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    policy_version: Gauge,
    /// When the options in force came into force here, in seconds of the Unix epoch.
    policy_changed: Gauge<f64, AtomicU64>,
    database_up: Gauge,
    spool_records: Gauge,
    spool_bytes: Gauge,
    decisions: Family<Verdict, Counter>,
    not_stored: Family<Refusal, Counter>,
    calls: Family<Ending, Counter>,
    /// The same, found without their labels, in the order of [`Status::ALL`].
    calls_by_status: [Counter; Status::ALL.len()],
    /// By client, and never by client and endpoint: there are too many of both.
    clients: Clients,
    /// By endpoint.
    pub(crate) endpoints: EndpointMetrics,
    /// Verdicts made anew, which are not counted as decisions once more.
    pub(crate) superseded: Counter,
    /// Expressions of rules that could not be evaluated, so that their rules took part.
    pub(crate) when_errors: Counter,
    /// Contents refused since too many were in work.
    pub(crate) overloaded: Counter,
    /// Requests over their key's limit.
    pub(crate) rate_limited: Counter,
    /// Requests and lines without a key that is taken.
    pub(crate) unauthorized: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    decision: &'static str,
    degraded: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ending {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    cause: &'static str,
}

impl From<Kind> for Refusal {
    fn from(kind: Kind) -> Self {
        let cause = match kind {
            Kind::Overloaded => "queue_full",
            Kind::Stopping => "stopping",
            _ => "unavailable",
        };
        Self { cause }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let calls = Family::<Ending, Counter>::default();
        let call =
            |status: Status| calls.get_or_create(&Ending { status: status.as_str() }).clone();
        let mut metrics = Self {
            registry: Registry::default(),
            policy_version: Gauge::default(),
            policy_changed: Gauge::default(),
            database_up: Gauge::default(),
            spool_records: Gauge::default(),
            spool_bytes: Gauge::default(),
            decisions: Family::default(),
            not_stored: Family::default(),
            calls_by_status: Status::ALL.map(call),
            calls,
            clients: Clients::default(),
            endpoints: EndpointMetrics::default(),
            superseded: Counter::default(),
            when_errors: Counter::default(),
            overloaded: Counter::default(),
            rate_limited: Counter::default(),
            unauthorized: Counter::default(),
        };
        metrics.database_up.set(1);
        metrics.prepare();
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// Metrics, with those of these shadows among them.
    pub(crate) fn of(shadows: &Arc<Shadows>) -> Self {
        let mut metrics = Self::default();
        let registry = metrics.registry.sub_registry_with_prefix("gatehouse_router");
        let registry = registry.sub_registry_with_prefix("shadow");
        registry.register_collector(Box::new(Arc::clone(shadows)));
        metrics
    }

    fn register(&mut self) {
        let registry = self.registry.sub_registry_with_prefix("gatehouse_router");
        let mut gauge = |name, help, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("policy_version", "The version of the options in force", &self.policy_version);
        gauge("database_up", "Whether the database answers", &self.database_up);
        gauge("spool_records", "Decisions that wait for the database", &self.spool_records);
        gauge("spool_bytes", "Their files on the disk", &self.spool_bytes);
        let help = "When the options in force came into force in this process";
        let changed = self.policy_changed.clone();
        registry.register_with_unit("policy_changed_timestamp", help, Unit::Seconds, changed);
        registry.register("decisions", "Verdicts given and stored", self.decisions.clone());
        let help = "Decisions that could not be stored, each time that it was tried";
        registry.register("decisions_not_stored", help, self.not_stored.clone());
        self.clients.register(registry);
        self.endpoints.register(registry);
        registry.register("model_calls", "Calls of models, by how they ended", self.calls.clone());
        let mut counter =
            |name, help, count: &Counter| registry.register(name, help, count.clone());
        let help = "Degraded verdicts made anew once what they lacked had come";
        counter("superseded_decisions", help, &self.superseded);
        counter("when_errors", "Expressions that could not be evaluated", &self.when_errors);
        counter("overloaded_requests", "Contents refused for too many in work", &self.overloaded);
        counter("rate_limited_requests", "Requests over their key's limit", &self.rate_limited);
        counter("unauthorized_requests", "Requests without a key in force", &self.unauthorized);
    }

    /// Has counters stand at 0 before they count: what first appears at 1 has never risen.
    fn prepare(&self) {
        for decision in [Outcome::Approve, Outcome::Review, Outcome::Reject].map(Outcome::as_str) {
            for degraded in ["false", "true"] {
                drop(self.decisions.get_or_create(&Verdict { decision, degraded }));
            }
        }
        for kind in [Kind::Overloaded, Kind::Stopping, Kind::StoreUnavailable] {
            drop(self.not_stored.get_or_create(&kind.into()));
        }
    }

    /// Notes which options are in force from now on.
    pub(crate) fn installed(&self, version: i64) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.policy_version.set(version);
        self.policy_changed.set(now.unwrap_or_default().as_secs_f64());
    }

    /// Notes whether the database answers.
    pub(crate) fn database(&self, is_up: bool) {
        self.database_up.set(i64::from(is_up));
    }

    /// Whether the database answered when it was last asked for news.
    pub(crate) fn is_database_up(&self) -> bool {
        self.database_up.get() == 1
    }

    /// Counts a verdict.
    pub(crate) fn decided(&self, client: &Name, decision: Outcome, degraded: bool) {
        self.clients.decided(client, decision, degraded);
        let (decision, degraded) = (decision.as_str(), if degraded { "true" } else { "false" });
        self.decisions.get_or_create(&Verdict { decision, degraded }).inc();
    }

    /// Counts a decision that could not be stored, and is answered with a problem of this kind or,
    /// where nobody waits for it, tried again.
    pub(crate) fn not_stored(&self, kind: Kind) {
        self.not_stored.get_or_create(&kind.into()).inc();
    }

    /// Forgets the clients that this policy has no options of.
    pub(crate) fn follow(&self, policy: &Policy) {
        self.clients.retain(|client| policy.scope_of(client, None).is_some());
    }

    /// Counts a call, or one that was spared.
    pub(crate) fn called(&self, status: Status) {
        self.calls_by_status[status as usize].inc();
    }

    /// All of them, in OpenMetrics' text, with what is spooled now.
    pub(crate) fn expose(&self, (records, bytes): (usize, u64)) -> String {
        self.spool_records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing into memory does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_exposed() {
        let metrics = Metrics::default();
        metrics.installed(17);
        metrics.decided(&"alehouse".parse().unwrap(), Outcome::Review, true);
        metrics.called(Status::Timeout);
        metrics.when_errors.inc();
        metrics.not_stored(Kind::StoreUnavailable);
        metrics.database(false);
        let text = metrics.expose((3, 4096));
        for line in [
            "gatehouse_router_policy_version 17\n",
            "gatehouse_router_database_up 0\n",
            "gatehouse_router_spool_records 3\n",
            "gatehouse_router_spool_bytes 4096\n",
            "gatehouse_router_decisions_total{decision=\"review\",degraded=\"true\"} 1\n",
            "gatehouse_router_decisions_total{decision=\"reject\",degraded=\"false\"} 0\n",
            "gatehouse_router_client_decisions_total{client=\"alehouse\",decision=\"review\",degraded=\"true\"} 1\n",
            "gatehouse_router_model_calls_total{status=\"timeout\"} 1\n",
            "gatehouse_router_superseded_decisions_total 0\n",
            "gatehouse_router_decisions_not_stored_total{cause=\"queue_full\"} 0\n",
            "gatehouse_router_decisions_not_stored_total{cause=\"stopping\"} 0\n",
            "gatehouse_router_decisions_not_stored_total{cause=\"unavailable\"} 1\n",
            "gatehouse_router_when_errors_total 1\n",
            "gatehouse_router_overloaded_requests_total 0\n",
            "gatehouse_router_rate_limited_requests_total 0\n",
            "gatehouse_router_unauthorized_requests_total 0\n",
        ] {
            assert!(text.contains(line), "no {line} in:\n{text}");
        }
        assert!(!metrics.is_database_up());
    }

    #[test]
    fn each_call_is_counted_under_how_it_ended() {
        for status in Status::ALL {
            let metrics = Metrics::default();
            metrics.called(status);
            let line = format!("gatehouse_router_model_calls_total{{status=\"{status}\"}} 1\n");
            assert!(metrics.expose((0, 0)).contains(&line), "no {line}");
        }
    }
}
