//! A map whose copies share what has not changed since: a change copies one part in 256 of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// So many that a part of 50,000 scopes is small, and so few that a copy of the list is.
const SHARDS: usize = 256;

/// A hash map that is cheap to clone and then to change.
#[derive(Clone, Debug)]
pub(super) struct Shards<K, V> {
    hasher: RandomState,
    shards: Vec<Arc<HashMap<K, V>>>,
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Arc::default()).collect();
        Self { hasher: RandomState::new(), shards }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Shards<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.shards[self.shard(key)].get(key)
    }

    /// The value of a key that is in the map, to be changed.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.own(key).get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.own(&key).insert(key, value)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.own(key).remove(key)
    }

    /// The value of `key`, made if the map has none.
    pub(super) fn entry(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        self.own(key).entry(key.clone()).or_default()
    }

    /// All values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// The part that may have `key`, copied where another map has it too.
    fn own(&mut self, key: &K) -> &mut HashMap<K, V> {
        let shard = self.shard(key);
        Arc::make_mut(&mut self.shards[shard])
    }

    fn shard(&self, key: &K) -> usize {
        self.hasher.hash_one(key) as usize % SHARDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_changes_by_itself_and_shares_the_rest() {
        let mut before: Shards<usize, usize> = Shards::default();
        for key in 0..1000 {
            before.insert(key, key);
        }
        let mut after = before.clone();
        *after.get_mut(&7).unwrap() = 0;
        after.remove(&8);
        *after.entry(&1000) += 5;
        assert_eq!((before.get(&7), before.get(&8), before.get(&1000)), (Some(&7), Some(&8), None));
        assert_eq!((after.get(&7), after.get(&8), after.get(&1000)), (Some(&0), None, Some(&5)));
        assert_eq!((before.values().count(), after.values().count()), (1000, 1000));
        let same = before.shards.iter().zip(&after.shards).filter(|(a, b)| Arc::ptr_eq(a, b));
        assert!(same.count() >= SHARDS - 3);
    }
}
