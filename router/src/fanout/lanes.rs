//! The lanes of all endpoints: one for each, however many models name it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::lane::Lane;
use super::meter::EndpointMetrics;
use crate::policy::model::Model;

/// Lanes by the addresses of their endpoints.
type Known = HashMap<String, Weak<Lane>>;

/// The lanes of the endpoints that registrations in use name; these keep them.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Mutex<Known>,
    metrics: EndpointMetrics,
}

impl Lanes {
    pub(super) fn new(metrics: EndpointMetrics) -> Self {
        Self { lanes: Mutex::default(), metrics }
    }

    /// The lane of a model's endpoint, which its registration remembers.
    pub(super) fn of<'m>(&self, model: &'m Model) -> &'m Arc<Lane> {
        model.lane.get().unwrap_or_else(|| {
            let mut lanes = self.lock();
            model.lane.get_or_init(|| self.find_or_make(&mut lanes, model))
        })
    }

    /// These models come into force: those at endpoints that were called before go on with what is
    /// known of them, and all others are forgotten. Must come before the registrations that kept it
    /// go.
    pub(super) fn follow<'a>(&self, models: impl Iterator<Item = &'a Model>) {
        let mut lanes = self.lock();
        let mut in_force = HashSet::new();
        for model in models {
            let known = || lanes.get(&model.document.endpoint.address()).and_then(Weak::upgrade);
            if let Some(lane) = model.lane.get().cloned().or_else(known) {
                in_force.insert(Arc::as_ptr(model.lane.get_or_init(|| lane)));
            }
        }
        self.forget_others(&mut lanes, &in_force);
    }

    /// Plans that are no longer in use may keep a lane for long; its metrics are not to stay.
    fn forget_others(&self, lanes: &mut Known, in_force: &HashSet<*const Lane>) {
        let known: Vec<_> = lanes.values().filter_map(Weak::upgrade).collect();
        lanes.retain(|_, lane| in_force.contains(&lane.as_ptr()));
        let (kept, gone): (Vec<_>, Vec<_>) =
            known.iter().partition(|lane| in_force.contains(&Arc::as_ptr(lane)));
        let kept: HashSet<_> = kept.into_iter().map(|lane| &lane.endpoint).collect();
        let gone = gone.into_iter().map(|lane| &lane.endpoint);
        gone.filter(|label| !kept.contains(label)).for_each(|label| self.metrics.forget(label));
    }

    /// Has the metrics of an endpoint say how many calls wait for their turn.
    pub(super) fn note_waiting(&self, endpoint: &str, calls: usize) {
        self.metrics.note_waiting(endpoint, calls);
    }

    /// Has the metrics say how many calls of SageMaker are under way and wait.
    pub(super) fn note_account(&self, calls: usize, waiting: usize) {
        self.metrics.note_account(calls, waiting);
    }

    fn find_or_make(&self, lanes: &mut Known, model: &Model) -> Arc<Lane> {
        let endpoint = &model.document.endpoint;
        let key = endpoint.address();
        if let Some(lane) = lanes.get(&key).and_then(Weak::upgrade) {
            return lane;
        }
        if lanes.len() == lanes.capacity() {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let lane = Arc::new(Lane::new(endpoint.shown(), &self.metrics));
        lanes.insert(key, Arc::downgrade(&lane));
        lane
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::policy::example::policy;

    #[test]
    fn models_at_one_endpoint_share_its_lane() {
        let at = |endpoint: &str| format!(r#"{{"endpoint": {endpoint}}}"#);
        let (one, other) = (at(r#"{"sagemaker": "x"}"#), at(r#"{"http": "http://x/y?key=1"}"#));
        let documents = [("models/a", &*one), ("models/b", &one), ("models/c", &other)];
        let policy = policy(&documents).unwrap();
        let lanes = Lanes::new(EndpointMetrics::default());
        let lane = |name: &str| lanes.of(policy.model(&name.parse().unwrap()).unwrap());
        assert!(Arc::ptr_eq(lane("a"), lane("b")));
        assert_eq!(
            [lane("a"), lane("c")].map(|lane| &*lane.endpoint),
            ["sagemaker:x", "http://x/y"]
        );
    }

    #[test]
    fn what_is_known_of_an_endpoint_outlives_a_change_of_its_registration() {
        let at =
            |name: &str, more: &str| format!(r#"{{"endpoint": {{"sagemaker": "{name}"}}{more}}}"#);
        let model =
            |policy: &Policy, name: &str| policy.shared_model(&name.parse().unwrap()).cloned();
        let (x, y) = (at("x", ""), at("y", ""));
        let old = policy(&[("models/a", &*x), ("models/b", &y)]).unwrap();
        let lanes = Lanes::new(EndpointMetrics::default());
        lanes.follow(old.models());
        let known = Arc::downgrade(lanes.of(&model(&old, "a").unwrap()));
        let (x, z) = (at("x", r#", "timeout_ms": 5"#), at("z", ""));
        let new = policy(&[("models/a", &*x), ("models/b", &y), ("models/c", &z)]).unwrap();
        lanes.follow(new.models());
        drop(old);
        let kept = known.upgrade().unwrap();
        assert_eq!(lanes.lock().len(), 1);
        assert!(Arc::ptr_eq(&kept, lanes.of(&model(&new, "a").unwrap())));
        // Of endpoints that were never called nothing is known, nor kept.
        for name in ["b", "c"] {
            assert!(model(&new, name).unwrap().lane.get().is_none());
        }
    }

    #[test]
    fn an_endpoint_that_no_model_in_force_names_is_forgotten_though_somebody_keeps_its_model() {
        let at = |url: &str| {
            let model = format!(r#"{{"endpoint": {{"http": "{url}"}}}}"#);
            policy(&[("models/a", &*model)]).unwrap()
        };
        let model = |policy: &Policy| policy.shared_model(&"a".parse().unwrap()).cloned().unwrap();
        let lanes = Lanes::new(EndpointMetrics::default());
        let policies = ["http://x/?key=1", "http://x/?key=2", "http://y/"].map(at);
        let kept: Vec<_> = policies.iter().map(model).collect();
        for (policy, model) in policies.iter().zip(&kept) {
            lanes.of(model);
            assert!(lanes.metrics.knows(&lanes.of(model).endpoint));
            lanes.follow(policy.models());
            assert_eq!(lanes.lock().len(), 1);
        }
        assert!(!lanes.metrics.knows("http://x/") && lanes.metrics.knows("http://y/"));
        // Its lane is another one if it comes back.
        let back = at("http://x/?key=1");
        assert!(!Arc::ptr_eq(lanes.of(&model(&back)), lanes.of(&kept[0])));
        drop(kept);
        assert!(lanes.metrics.knows("http://x/"));
    }
}
