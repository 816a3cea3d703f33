//! The compiled plans: made when a review first needs them, kept as long as there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::plan::Plan;

/// What the plans kept may take together: some 10,000 plans of 20 rules. One that has made room
/// for others is compiled again when it is needed.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Names the options of a scope at the version at which they last changed. A scope that says
/// nothing of its own has its parent's; a key is never given out twice, not even for options that
/// were only tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PlanKey(u64);

/// The plans in use, shared by all versions of a policy.
#[derive(Clone, Debug)]
pub(super) struct Plans {
    cache: Cache<PlanKey, Arc<Plan>>,
    keys: Arc<AtomicU64>,
}

impl Default for Plans {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(|_, plan: &Arc<Plan>| u32::try_from(plan.bytes()).unwrap_or(u32::MAX))
            // After a change of the platform all plans are new, and those of before, however
            // often they were used, must make room.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { cache, keys: Arc::default() }
    }
}

impl Plans {
    /// A key for options that are new.
    pub(super) fn new_key(&self) -> PlanKey {
        PlanKey(self.keys.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The plan of this key, compiled by one of those who need it at the same time.
    pub(super) fn get(&self, key: PlanKey, compile: impl FnOnce() -> Plan) -> Arc<Plan> {
        let kept = self.cache.get(&key);
        kept.unwrap_or_else(|| self.cache.get_with(key, || Arc::new(compile())))
    }
}
