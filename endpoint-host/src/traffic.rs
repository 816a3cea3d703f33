//! What answers an endpoint's calls: its variants and their shares.

use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::app::App;
use crate::artifact::ModelSource;
use crate::capture;
use crate::container::Launch;
use crate::home::Home;
use crate::meter::{Meter, Tally};
use crate::pool::{Afterwards, Pool};
use crate::reason::Reason;
use crate::record::{Endpoint, EndpointConfig, Serving, Variant};
use crate::resource_name::ResourceName;
use crate::shadow;

/// The containers of an endpoint; an update replaces it whole.
pub(crate) struct Traffic {
    /// The variants that answer.
    pub(crate) production: Vec<Share>,
    /// The variants that get copies.
    pub(crate) shadows: Vec<Share>,
    /// Room for the copies on their way to them.
    pub(crate) copies: Arc<Semaphore>,
    /// What is captured of the calls.
    pub(crate) capture: Option<Arc<capture::Rule>>,
}

/// A variant and its share of the calls.
#[derive(Clone)]
pub(crate) struct Share {
    /// Its containers.
    pub(crate) pool: Arc<Pool>,
    /// Its weight among the weights of all variants that answer.
    pub(crate) weight: f64,
    /// Where its calls are counted, from the first on.
    tally: Arc<OnceLock<Tally>>,
}

impl Share {
    /// Where its calls are counted.
    pub(crate) fn tally(&self, meter: &Meter) -> &Tally {
        self.tally.get_or_init(|| meter.tally(&self.pool))
    }
}

impl Traffic {
    /// Pools without a container for what an endpoint serves.
    pub(crate) fn new(app: &App, endpoint: &Endpoint, serving: &Serving) -> Self {
        let shares = |variants: &[Variant]| {
            variants.iter().map(|variant| share(app, endpoint, serving, variant)).collect()
        };
        Self {
            production: shares(&serving.config.production_variants),
            shadows: shares(&serving.config.shadow_production_variants),
            copies: shadow::places(),
            capture: capture_rule(app, endpoint, serving),
        }
    }

    /// The same containers, with the weights that a configuration gives to their variants.
    pub(crate) fn reweighed(&self, config: &EndpointConfig) -> Self {
        let share = |share: &Share| {
            let name = share.pool.variant_name();
            let variant = config.variants().find(|variant| variant.variant_name == *name);
            let weight = variant.map_or(share.weight, |variant| variant.initial_variant_weight);
            Share { weight, ..share.clone() }
        };
        let shares = |shares: &[Share]| shares.iter().map(share).collect();
        Self {
            production: shares(&self.production),
            shadows: shares(&self.shadows),
            copies: Arc::clone(&self.copies),
            capture: self.capture.clone(),
        }
    }

    /// Tries a container of every variant.
    pub(crate) async fn prove(&self) -> Result<(), Reason> {
        self.prove_each(|_| Afterwards::Stop).await
    }

    /// Tries a container of every variant, and then starts as many as do the work of what answers
    /// now; the models are proven by then, and fewer containers are no reason not to take over.
    pub(crate) async fn prove_beside(&self, live: Option<&Self>) -> Result<(), Reason> {
        let Some(live) = live else {
            return self.prove_each(|_| Afterwards::Keep(1)).await;
        };
        live.pools().for_each(|pool| pool.crowd());
        let proved = self.prove_as_many_as(live).await;
        live.pools().for_each(|pool| pool.uncrowd());
        proved
    }

    async fn prove_as_many_as(&self, live: &Self) -> Result<(), Reason> {
        self.prove_each(|_| Afterwards::Keep(1)).await?;
        let as_many = |pool: &Pool| Afterwards::Keep(live.at_work(pool.variant_name()));
        if let Err(reason) = self.prove_each(as_many).await {
            tracing::warn!("an update goes on with fewer containers than were at work: {reason}");
        }
        Ok(())
    }

    /// How many containers a variant has at work; for one that is not there, those of all together,
    /// whose calls it may get.
    fn at_work(&self, variant: &ResourceName) -> usize {
        let named = self.pools().find(|pool| pool.variant_name() == variant);
        named.map_or_else(|| self.pools().map(|pool| pool.at_work()).sum(), |pool| pool.at_work())
    }

    async fn prove_each(&self, afterwards: impl Fn(&Pool) -> Afterwards) -> Result<(), Reason> {
        let mut proofs = JoinSet::new();
        for pool in self.pools() {
            let (pool, afterwards) = (Arc::clone(pool), afterwards(pool));
            proofs.spawn(async move { pool.prove(afterwards).await });
        }
        while let Some(proof) = proofs.join_next().await {
            proof.unwrap_or_else(|error| Err(Reason::new(format!("trying it failed: {error}"))))?;
        }
        Ok(())
    }

    /// Begins to answer in the place of what did before.
    pub(crate) fn take_over(&self) {
        for pool in self.pools() {
            pool.take_over();
        }
    }

    /// Begins to start the provisioned containers of every variant.
    pub(crate) fn warm(&self) {
        for pool in self.pools() {
            pool.warm();
        }
    }

    /// The variant that answers a call: the one that the caller asks for, or one by weight.
    pub(crate) fn choose(&self, target: Option<&[u8]>) -> Result<&Share, String> {
        let Some(name) = target else {
            return self.draw(fastrand::f64()).ok_or_else(|| {
                "every variant of the endpoint has weight 0: raise one with \
                 UpdateEndpointWeightsAndCapacities, or name a TargetVariant"
                    .to_owned()
            });
        };
        let named = |share: &&Share| share.pool.variant_name().as_str().as_bytes() == name;
        self.production.iter().find(named).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            format!("variant `{name}` is not one of the endpoint's production variants")
        })
    }

    /// The variant to which a number from 0 to 1 leads. One alone answers whatever its weight.
    fn draw(&self, number: f64) -> Option<&Share> {
        if let [only] = &self.production[..] {
            return Some(only);
        }
        let weighted = || self.production.iter().filter(|share| share.weight > 0.0);
        let mut left = number * weighted().map(|share| share.weight).sum::<f64>();
        let mut shares = weighted();
        let drawn = shares.find(|share| {
            left -= share.weight;
            left < 0.0
        });
        // Sums of fractions may fall short of the whole.
        drawn.or_else(|| weighted().next_back())
    }

    /// Takes no more calls, waits for those that were taken, and stops every container.
    pub(crate) async fn retire(&self) {
        for pool in self.pools() {
            pool.retire();
        }
        for pool in self.pools() {
            pool.retired().await;
        }
        self.close();
        self.closed().await;
    }

    /// Tells every container to stop; [`Traffic::closed`] waits until they have.
    pub(crate) fn close(&self) {
        self.pools().for_each(|pool| pool.close());
    }

    /// Waits until no process is left.
    pub(crate) async fn closed(&self) {
        for pool in self.pools() {
            pool.closed().await;
        }
    }

    /// The containers of all variants, those that answer first.
    pub(crate) fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.production.iter().chain(&self.shadows).map(|share| &share.pool)
    }
}

fn share(app: &App, endpoint: &Endpoint, serving: &Serving, variant: &Variant) -> Share {
    let container = &serving.model(variant).primary_container;
    let launch = Launch {
        endpoint: endpoint.name.clone(),
        variant: variant.clone(),
        program: app.images.find(&container.image).map_err(Reason::new),
        machine: Arc::clone(&app.machine),
        model: ModelSource::new(&app.roots, &container.model_data_url),
        home: Home::of(&app.homes, serving.id, &variant.variant_name),
        environment: container.environment.clone(),
    };
    let pool = Arc::new(Pool::new(launch, app.idle_timeout));
    Share { pool, weight: variant.initial_variant_weight, tally: Arc::default() }
}

/// What can't be captured any more does not keep an endpoint from answering.
fn capture_rule(app: &App, endpoint: &Endpoint, serving: &Serving) -> Option<Arc<capture::Rule>> {
    let config = serving.config.data_capture_config.as_ref()?;
    let rule = capture::Rule::of(config, &app.roots);
    rule.inspect_err(|why| {
        tracing::warn!(endpoint = %endpoint.name, "nothing is captured: {why}");
    })
    .ok()?
    .map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn traffic(weights: &[f64]) -> Traffic {
        let homes = tempfile::tempdir().unwrap();
        let share = |weight: &f64| Share {
            pool: fixture::python_pool(homes.path()),
            weight: *weight,
            tally: Arc::default(),
        };
        Traffic {
            production: weights.iter().map(share).collect(),
            shadows: Vec::new(),
            copies: shadow::places(),
            capture: None,
        }
    }

    fn drawn(traffic: &Traffic, number: f64) -> Option<f64> {
        traffic.draw(number).map(|share| share.weight)
    }

    #[test]
    fn calls_are_shared_out_by_weight() {
        let traffic = traffic(&[1.0, 0.0, 3.0]);
        for (number, weight) in [(0.0, 1.0), (0.24, 1.0), (0.26, 3.0), (0.999_999, 3.0)] {
            assert_eq!(drawn(&traffic, number), Some(weight), "{number}");
        }
    }

    #[test]
    fn weights_of_zero_take_no_call_but_a_variant_alone_takes_all() {
        assert_eq!(drawn(&traffic(&[0.0]), 0.5), Some(0.0));
        let none = traffic(&[0.0, 0.0]);
        assert_eq!(drawn(&none, 0.5), None);
        assert!(none.choose(None).err().unwrap().contains("weight 0"));
        assert!(none.choose(Some(b"all")).is_ok());
        assert!(none.choose(Some(b"other")).is_err());
    }
}
