//! Verdicts by client, for as long as a client has options.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::policy::name::Name;
use crate::policy::scope::Outcome;

/// All verdicts that there are, degraded or not.
const VERDICTS: [(Outcome, bool); 6] = [
    (Outcome::Approve, false),
    (Outcome::Approve, true),
    (Outcome::Review, false),
    (Outcome::Review, true),
    (Outcome::Reject, false),
    (Outcome::Reject, true),
];

/// The verdicts of each client; each kind is exposed from its first one on.
#[derive(Debug, Default)]
pub(super) struct Clients {
    series: Family<OfClient, Counter>,
    /// The same, found without making their labels, in the order of [`VERDICTS`].
    counters: RwLock<HashMap<Name, [OnceLock<Counter>; VERDICTS.len()]>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClient {
    client: String,
    decision: &'static str,
    degraded: &'static str,
}

impl Clients {
    /// Has them exposed.
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Verdicts given and stored, by client";
        registry.register("client_decisions", help, self.series.clone());
    }

    /// Counts a verdict.
    pub(super) fn decided(&self, client: &Name, decision: Outcome, degraded: bool) {
        let known = self.counters.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = known.get(client) {
            self.count(counters, client, (decision, degraded));
            return;
        }
        drop(known);
        let mut known = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        let counters = known.entry(client.clone()).or_default();
        self.count(counters, client, (decision, degraded));
    }

    /// Forgets all other clients.
    pub(super) fn retain(&self, is_kept: impl Fn(&Name) -> bool) {
        let known = self.counters.read().unwrap_or_else(PoisonError::into_inner);
        // Looked for beside those who count.
        let gone: Vec<Name> = known.keys().filter(|client| !is_kept(client)).cloned().collect();
        drop(known);
        if gone.is_empty() {
            return;
        }
        let mut known = self.counters.write().unwrap_or_else(PoisonError::into_inner);
        for client in gone {
            known.remove(&client);
            for verdict in VERDICTS {
                self.series.remove(&OfClient::of(&client, verdict));
            }
        }
    }

    fn count(&self, counters: &[OnceLock<Counter>], client: &Name, verdict: (Outcome, bool)) {
        let index = 2 * verdict.0 as usize + usize::from(verdict.1);
        let make = || self.series.get_or_create(&OfClient::of(client, verdict)).clone();
        counters[index].get_or_init(make).inc();
    }
}

impl OfClient {
    fn of(client: &Name, (decision, degraded): (Outcome, bool)) -> Self {
        Self {
            client: client.as_str().to_owned(),
            decision: decision.as_str(),
            degraded: if degraded { "true" } else { "false" },
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn exposed(registry: &Registry) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let mut lines: Vec<_> =
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn each_verdict_is_counted_and_the_clients_that_are_gone_are_not_shown() {
        let (clients, mut registry) = (Clients::default(), Registry::default());
        clients.register(&mut registry);
        let [a, b] = ["a", "b"].map(|name| name.parse::<Name>().unwrap());
        for (count, (decision, degraded)) in VERDICTS.into_iter().enumerate() {
            (0..=count).for_each(|_| clients.decided(&a, decision, degraded));
        }
        clients.decided(&b, Outcome::Review, true);
        assert_eq!(exposed(&registry).len(), 7);
        clients.retain(|client| *client == b);
        let line = |count| {
            let labels = r#"client="b",decision="review",degraded="true""#;
            [format!("client_decisions_total{{{labels}}} {count}")]
        };
        assert_eq!(exposed(&registry), line(1));
        clients.decided(&b, Outcome::Review, true);
        assert_eq!(exposed(&registry), line(2));
    }

    #[test]
    fn verdicts_are_told_apart() {
        let (clients, mut registry) = (Clients::default(), Registry::default());
        clients.register(&mut registry);
        let client: Name = "a".parse().unwrap();
        for (count, (decision, degraded)) in VERDICTS.into_iter().enumerate() {
            (0..=count).for_each(|_| clients.decided(&client, decision, degraded));
            let labels =
                format!("decision=\"{decision:?}\",degraded=\"{degraded}\"}} {}", count + 1);
            let labels = labels.to_lowercase();
            assert!(exposed(&registry).iter().any(|line| line.ends_with(&labels)), "{labels}");
        }
    }
}
