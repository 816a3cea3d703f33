//! Whose turn it is to call a model: no more at once than its registration allows.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Fanout;
use super::line::Line;
use crate::policy::Policy;
use crate::policy::model::{Endpoint, Model};
use crate::policy::name::Name;

/// The lines of all models, which registrations and calls under way keep: one for each name, so
/// that calls under way count however a model is changed meanwhile. A model that was only tried
/// leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Name, Weak<Line>>>);

impl Turns {
    /// The line of a model, with as many places as it allowed when it was last in force; the
    /// registration remembers it.
    pub(super) fn of<'m>(&self, model: &'m Model) -> &'m Arc<Line> {
        model.line.get_or_init(|| self.find_or_make(model))
    }

    /// These models are in force, and have as many places as their registrations say.
    pub(super) fn follow<'a>(&self, models: impl Iterator<Item = &'a Model>) {
        for model in models {
            self.of(model).resize(model.document.max_concurrency.0);
        }
        self.lock().retain(|_, line| line.strong_count() > 0);
    }

    fn find_or_make(&self, model: &Model) -> Arc<Line> {
        let mut lines = self.lock();
        if let Some(line) = lines.get(&model.name).and_then(Weak::upgrade) {
            return line;
        }
        if lines.len() == lines.capacity() {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Line::new(model.document.max_concurrency.0);
        lines.insert(model.name.clone(), Arc::downgrade(&line));
        line
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Weak<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fanout {
    /// How many calls of a model wait for their turn.
    pub(crate) fn waiting(&self, model: &Model) -> usize {
        self.turns.of(model).waiting()
    }

    /// Whether a model can be called at once with nobody having to wait for it: a place of its own
    /// is free, and half of the account's are.
    pub(crate) fn has_spare(&self, model: &Model) -> bool {
        let account_has = match model.document.endpoint {
            Endpoint::SageMaker(_) => 2 * self.quota.free() >= self.quota.limit(),
            Endpoint::Http(_) => true,
        };
        account_has && self.turns.of(model).free() > 0
    }

    /// Has the metrics say how many calls wait for their turn now.
    pub(crate) fn note_waiting(&self, policy: &Policy) {
        let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
        for model in policy.models() {
            let Some(lane) = model.lane.get() else { continue };
            *waiting.entry(&lane.endpoint).or_default() += self.waiting(model);
        }
        waiting.into_iter().for_each(|(endpoint, calls)| self.lanes.note_waiting(endpoint, calls));
        let calls = self.quota.limit() - self.quota.free();
        self.lanes.note_account(calls, self.quota.waiting());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::example::policy;

    fn models(limit: usize) -> Policy {
        let model = format!(r#"{{"endpoint": {{"sagemaker": "m"}}, "max_concurrency": {limit}}}"#);
        policy(&["models/a", "models/b"].map(|subject| (subject, &*model))).unwrap()
    }

    fn model<'p>(policy: &'p Policy, name: &str) -> &'p Model {
        policy.model(&name.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_model_that_is_registered_anew_keeps_its_line() {
        let (turns, old, new) = (Turns::default(), models(1), models(2));
        turns.follow(old.models());
        let under_way = turns.of(model(&old, "a")).try_take().unwrap();
        turns.follow(new.models());
        assert!(Arc::ptr_eq(turns.of(model(&old, "a")), turns.of(model(&new, "a"))));
        assert!(!Arc::ptr_eq(turns.of(model(&new, "a")), turns.of(model(&new, "b"))));
        drop(old);
        let second = turns.of(model(&new, "a")).try_take().unwrap();
        assert!(turns.of(model(&new, "a")).try_take().is_none());
        drop((under_way, second));
        assert_eq!(turns.of(model(&new, "a")).free(), 2);
    }

    #[test]
    fn calls_under_way_count_for_a_model_that_was_deleted_meanwhile() {
        let (turns, old) = (Turns::default(), models(1));
        turns.follow(old.models());
        let under_way = turns.of(model(&old, "a")).try_take().unwrap();
        drop(old);
        turns.follow(std::iter::empty());
        let new = models(1);
        assert!(turns.of(model(&new, "a")).try_take().is_none());
        drop(under_way);
        assert!(turns.of(model(&new, "a")).try_take().is_some());
    }

    #[test]
    fn a_model_that_is_only_tried_changes_nothing_and_leaves_nothing_behind() {
        let (turns, in_force) = (Turns::default(), models(1));
        let known = || {
            let lines = turns.lock();
            let mut names: Vec<_> = lines.keys().map(Name::to_string).collect();
            names.sort_unstable();
            names
        };
        turns.follow(in_force.models().take(1));
        let tried = models(9);
        assert_eq!(turns.of(model(&tried, "a")).limit(), 1);
        assert_eq!(turns.of(model(&tried, "b")).limit(), 9);
        assert_eq!(known(), ["a", "b"]);
        drop(tried);
        turns.follow(in_force.models().take(1));
        assert_eq!(known(), ["a"]);
    }
}
