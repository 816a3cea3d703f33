//! Whose turn it is to call a model: no more at once than its registration allows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::policy::model::Model;
use crate::policy::name::Name;

/// The turns of all models: those in force, and those that somebody is calling. Calls under way
/// count however a model is changed meanwhile; a model that was only tried leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    turns: BTreeMap<Name, Weak<ModelTurns>>,
    /// Holds the turns of the models in force, called or not.
    in_force: Vec<Arc<ModelTurns>>,
}

impl Turns {
    /// The turns of one model, as many as it allowed when it was last in force.
    pub(super) fn of(&self, model: &Model) -> Arc<ModelTurns> {
        let mut known = lock(&self.0);
        if !known.turns.contains_key(&model.name) {
            known.forget_unused();
        }
        known.of(model)
    }

    /// These models are in force, and have as many turns as their registrations say.
    pub(super) fn set<'a>(&self, models: impl Iterator<Item = &'a Model>) {
        let mut known = lock(&self.0);
        let resized = models.map(|model| {
            let turns = known.of(model);
            turns.resize(model.document.max_concurrency.0);
            turns
        });
        known.in_force = resized.collect();
        known.forget_unused();
    }
}

impl Known {
    fn of(&mut self, model: &Model) -> Arc<ModelTurns> {
        let known = self.turns.get(&model.name).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turns = Arc::new(ModelTurns::new(model.document.max_concurrency.0));
            self.turns.insert(model.name.clone(), Arc::downgrade(&turns));
            turns
        })
    }

    fn forget_unused(&mut self) {
        self.turns.retain(|_, turns| turns.strong_count() > 0);
    }
}

/// One permit for each call of a model that may begin now.
#[derive(Debug)]
pub(super) struct ModelTurns {
    permits: Semaphore,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    /// How many calls may be under way.
    limit: usize,
    /// How many more than that are, since the limit fell.
    excess: usize,
}

/// A call's turn, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<ModelTurns>);

impl ModelTurns {
    fn new(limit: usize) -> Self {
        Self { permits: Semaphore::new(limit), size: Mutex::new(Size { limit, excess: 0 }) }
    }

    /// Waits for a turn; first come, first served.
    pub(super) async fn take(self: Arc<Self>) -> Turn {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        permit.forget();
        Turn(self)
    }

    fn resize(&self, limit: usize) {
        let mut size = lock(&self.size);
        let more = limit.saturating_sub(size.limit);
        let fewer = size.limit.saturating_sub(limit);
        let settled = more.min(size.excess);
        size.excess -= settled;
        self.permits.add_permits(more - settled);
        size.excess += fewer - self.permits.forget_permits(fewer);
        size.limit = limit;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut size = lock(&self.0.size);
        match size.excess {
            0 => self.0.permits.add_permits(1),
            _ => size.excess -= 1,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::policy::example::policy;

    #[test]
    fn turns_last_as_long_as_the_model_is_in_force_or_called() {
        let model = r#"{"endpoint": {"sagemaker": "m"}, "max_concurrency": 1}"#;
        let documents = ["models/a", "models/b", "models/c"].map(|subject| (subject, model));
        let (all, in_force) = (policy(&documents).unwrap(), policy(&documents[..1]).unwrap());
        let [a, b, c] = ["a", "b", "c"].map(|name| all.model(&name.parse().unwrap()).unwrap());
        let turns = Turns::default();
        let known =
            || -> Vec<String> { lock(&turns.0).turns.keys().map(Name::to_string).collect() };
        turns.set(in_force.models());
        let under_way = now(&turns.of(b)).unwrap();
        drop(turns.of(c));
        assert!(now(&turns.of(b)).is_none());
        turns.set(in_force.models());
        assert_eq!(known(), ["a", "b"]);
        drop(under_way);
        drop(turns.of(c));
        assert_eq!(known(), ["a", "c"]);
        // Of a model that is deleted, the calls under way go on to count.
        let under_way = now(&turns.of(a)).unwrap();
        turns.set(std::iter::empty());
        assert!(now(&turns.of(a)).is_none());
        drop(under_way);
        assert!(now(&turns.of(a)).is_some());
    }

    fn now(turns: &Arc<ModelTurns>) -> Option<Turn> {
        Arc::clone(turns).take().now_or_never()
    }

    #[test]
    fn a_lower_limit_holds_against_the_calls_under_way_and_those_that_wait() {
        let turns = Arc::new(ModelTurns::new(3));
        let mut under_way: Vec<_> = (0..3).map(|_| now(&turns).unwrap()).collect();
        let mut waiting = Box::pin(Arc::clone(&turns).take());
        assert!(waiting.as_mut().now_or_never().is_none());
        turns.resize(1);
        for _ in 0..2 {
            under_way.pop();
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        under_way.pop();
        let turn = waiting.now_or_never().unwrap();
        assert!(now(&turns).is_none());
        drop(turn);
        assert!(now(&turns).is_some());
    }

    #[test]
    fn a_limit_that_falls_and_rises_again_is_where_it_was() {
        let turns = Arc::new(ModelTurns::new(3));
        let under_way: Vec<_> = (0..3).map(|_| now(&turns).unwrap()).collect();
        turns.resize(1);
        turns.resize(4);
        assert_eq!(turns.permits.available_permits(), 1);
        drop(under_way);
        assert_eq!(turns.permits.available_permits(), 4);
    }
}
