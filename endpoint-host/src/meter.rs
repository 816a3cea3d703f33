//! Counts what CloudWatch would, and what SageMaker would bill, of every variant that is called;
//! one that never is costs nothing.

mod counters;
mod exposition;
mod histogram;
mod ledger;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::pool::Pool;
use crate::resource_name::ResourceName;

pub(crate) use counters::{Counters, Ending, Served};
pub(crate) use ledger::{Account, Bill, Entry, Ledger};

/// All that is counted.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The counters of the variants that were called, written only when a variant is called for
    /// the first time or its endpoint is gone.
    variants: RwLock<BTreeMap<Labels, Arc<Counters>>>,
    /// What is to be billed.
    pub(crate) ledger: Ledger,
}

/// What tells one variant's numbers from another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    /// The endpoint.
    pub(crate) endpoint: ResourceName,
    /// The variant.
    pub(crate) variant: ResourceName,
}

/// Where the calls of one variant are counted.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// What CloudWatch would count.
    pub(crate) counters: Arc<Counters>,
    /// What SageMaker would bill.
    pub(crate) bill: Arc<Bill>,
}

impl Meter {
    /// Where the calls of a pool are counted from now on.
    pub(crate) fn tally(&self, pool: &Arc<Pool>) -> Tally {
        let launch = &pool.launch;
        let (endpoint, variant) = (launch.endpoint.clone(), launch.variant.variant_name.clone());
        let account = Account {
            endpoint: endpoint.clone(),
            variant: variant.clone(),
            memory_mb: launch.variant.serverless_config.memory_size_in_mb,
        };
        let counters = {
            let mut variants = self.variants.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(variants.entry(Labels { endpoint, variant }).or_default())
        };
        counters.watch(pool);
        Tally { counters, bill: self.ledger.bill(account) }
    }

    /// Forgets the counters of endpoints that are gone; what is to be billed stays.
    pub(crate) fn forget(&self, is_gone: impl Fn(&ResourceName) -> bool) {
        let mut variants = self.variants.write().unwrap_or_else(PoisonError::into_inner);
        variants.retain(|labels, _| !is_gone(&labels.endpoint));
    }

    /// Everything as Prometheus reads it.
    pub(crate) fn exposition(&self) -> String {
        let variants = self.variants.read().unwrap_or_else(PoisonError::into_inner);
        let variants: Vec<_> = variants.iter().map(|(l, c)| (l.clone(), Arc::clone(c))).collect();
        exposition::write(&variants)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fixture;

    #[tokio::test]
    async fn only_variants_that_were_called_are_shown_and_only_while_their_endpoint_exists() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        let meter = Meter::default();
        assert!(!meter.exposition().contains("EndpointName"));
        let tally = meter.tally(&pool);
        tally.counters.served(&Served {
            ending: Ending::Answered(422),
            total: Duration::from_millis(3),
            model: Some(Duration::from_millis(2)),
            setup: None,
        });
        let text = meter.exposition();
        for line in [
            "# TYPE Invocations counter\n",
            "Invocations{EndpointName=\"spam\",VariantName=\"all\"} 1\n",
            "Invocation4XXErrors{EndpointName=\"spam\",VariantName=\"all\"} 1\n",
            "Invocation5XXErrors{EndpointName=\"spam\",VariantName=\"all\"} 0\n",
            "InvocationModelErrors{EndpointName=\"spam\",VariantName=\"all\"} 1\n",
            "ModelLatency_bucket{EndpointName=\"spam\",VariantName=\"all\",le=\"1000\"} 0\n",
            "ModelLatency_bucket{EndpointName=\"spam\",VariantName=\"all\",le=\"2000\"} 1\n",
            "ModelLatency_sum{EndpointName=\"spam\",VariantName=\"all\"} 2000\n",
            "OverheadLatency_sum{EndpointName=\"spam\",VariantName=\"all\"} 1000\n",
            "ServerlessConcurrentExecutionsUtilization{EndpointName=\"spam\",VariantName=\"all\"} 0\n",
        ] {
            assert!(text.contains(line), "no {line} in:\n{text}");
        }
        meter.forget(|endpoint| endpoint.as_str() == "spam");
        assert!(!meter.exposition().contains("EndpointName"));
    }
}
