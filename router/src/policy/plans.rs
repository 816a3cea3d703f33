//! The compiled plans: made when a review first needs them, kept as long as there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::plan::Plan;

/// What the plans kept may take together: those of 50,000 scopes with options of their own below a
/// platform of 20 rules, whichever of these they change. A plan that has made room for others is
/// compiled again when it is needed.
const MAX_BYTES: u64 = 192 * 1024 * 1024;

/// What the plans take that were compiled only to try options out.
const MAX_TRIED_BYTES: u64 = 16 * 1024 * 1024;

/// Of so many plans that are found, one has those above it counted as used: each look at a cache of
/// 50,000 plans takes its microsecond, and who makes room for others is not so particular.
const FINDS: u64 = 16;

/// About what the cache itself needs for each plan, besides the plan.
const ENTRY_BYTES: usize = 300;

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
    /// How often a plan was found.
    finds: Arc<AtomicU64>,
}

impl Default for Plans {
    fn default() -> Self {
        Self { cache: cache(MAX_BYTES), keys: Arc::default(), finds: Arc::default() }
    }
}

fn cache(max_bytes: u64) -> Cache<PlanKey, Arc<Plan>> {
    Cache::builder()
        .max_capacity(max_bytes)
        .weigher(|_, plan: &Arc<Plan>| weight(plan))
        // After a change of the platform all plans are new, and those of before, however often they
        // were used, must make room.
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

impl Plans {
    /// Room beside this one, for plans that must not take the place of those in use.
    pub(super) fn beside(&self) -> Self {
        Self { cache: cache(MAX_TRIED_BYTES), ..self.clone() }
    }

    /// A key for options that are new.
    pub(super) fn new_key(&self) -> PlanKey {
        PlanKey(self.keys.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The plan of this key, if it is kept.
    pub(super) fn find(&self, key: PlanKey) -> Option<Arc<Plan>> {
        self.cache.get(&key)
    }

    /// The same, and whether the plans above are to be counted as used, too.
    pub(super) fn find_in_use(&self, key: PlanKey) -> Option<(Arc<Plan>, bool)> {
        let plan = self.find(key)?;
        Some((plan, self.finds.fetch_add(1, Ordering::Relaxed).is_multiple_of(FINDS)))
    }

    /// The plan of this key, compiled by one of those who need it at the same time.
    pub(super) fn make(&self, key: PlanKey, compile: impl FnOnce() -> Plan) -> Arc<Plan> {
        self.cache.get_with(key, || Arc::new(compile()))
    }
}

#[cfg(test)]
impl Plans {
    /// What the plans kept take together.
    pub(super) fn bytes(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.weighted_size()
    }
}

fn weight(plan: &Plan) -> u32 {
    u32::try_from(ENTRY_BYTES + plan.bytes()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::Policy;
    use super::super::example::policy;
    use super::super::scope_path::ScopePath;
    use super::*;

    const RULES: usize = 20;

    /// Twenty rules, each of a model of its own at one of three costs, and clients that differ.
    fn example(clients: &[(&str, &str)]) -> Policy {
        let models: Vec<_> = (0..RULES).map(|i| (format!("models/m{i}"), model(i))).collect();
        let mut rules = String::new();
        for i in 0..RULES {
            let comma = if i > 0 { "," } else { "" };
            write!(
                rules,
                r#"{comma}"r{i}": {{"model": "m{i}", "label": "x", "review_at": 0.7, "reject_at": 0.9}}"#
            )
            .unwrap();
        }
        let platform = format!(r#"{{"rules": {{{rules}}}}}"#);
        let mut documents: Vec<_> = models.iter().map(|(s, t)| (s.as_str(), t.as_str())).collect();
        documents.push(("scopes/platform", &platform));
        documents.extend(clients);
        policy(&documents).unwrap()
    }

    fn model(i: usize) -> String {
        format!(r#"{{"endpoint": {{"sagemaker": "m"}}, "cost": {}}}"#, 1 + i % 3)
    }

    #[test]
    fn the_plans_of_50_000_scopes_have_room_together() {
        let clients = [
            ("scopes/client/a", r#"{"rules": {"r3": {"review_at": 0.5}}}"#),
            ("scopes/client/b", r#"{"rules": {"r0": {"enabled": false}}}"#),
            ("scopes/client/c", r#"{"rules": {"r9": {"label": "y", "when": "client == 'c'"}}}"#),
            ("scopes/client/d", r#"{"rules": {"a": {"model": "m19", "label": "y"}}}"#),
        ];
        let policy = example(&clients);
        for (subject, _) in clients {
            let path = subject.trim_start_matches("scopes/").parse().unwrap();
            let bytes = u64::from(weight(&policy.plan(&path).unwrap()));
            println!("{subject}: {bytes} bytes");
            assert!(50_000 * bytes <= MAX_BYTES, "{subject}: {bytes} bytes");
        }
    }

    #[test]
    fn a_plan_shares_what_is_the_same_above_and_nothing_else() {
        let policy = example(&[
            (
                "scopes/client/a",
                r#"{"rules": {"r0": {"enabled": false}, "r3": {"review_at": 0.5}}}"#,
            ),
            ("scopes/client/a/site/en", r#"{"rules": {"r3": {"reject_at": 0.8}}}"#),
        ]);
        let plan = |path: &str| policy.plan(&path.parse().unwrap()).unwrap();
        let site = plan("client/a/site/en");
        let (client, platform) = (plan("client/a"), plan("platform"));
        let shared = |above: &Plan| {
            let has = |rule: &&crate::policy::plan::Rule| {
                above.rules.iter().any(|other| Arc::ptr_eq(&other.terms, &rule.terms))
            };
            site.rules.iter().filter(has).count()
        };
        assert_eq!((shared(&client), shared(&platform), site.rules.len()), (18, 18, 19));
        assert!(site.calls.iter().all(|call| platform.calls.iter().any(|c| Arc::ptr_eq(c, call))));
        assert!(Arc::ptr_eq(&site.stages, &client.stages));
        assert!(!Arc::ptr_eq(&site.stages, &platform.stages));
    }

    #[test]
    fn a_plan_weighs_its_patterns_but_not_those_that_it_shares_with_the_one_above() {
        let own = r#"{"rules": {"r3": {"when": "client.matches(r'\\w\\w')"}}}"#;
        let policy = example(&[
            ("scopes/client/a", own),
            ("scopes/client/a/site/en", r#"{"rules": {"r3": {"review_at": 0.5}}}"#),
            ("scopes/client/b", r#"{"rules": {"r3": {"when": "client == 'b'"}}}"#),
        ]);
        let plan = |path: &str| policy.plan(&path.parse().unwrap()).unwrap();
        let when = |path: &str| {
            let plan = plan(path);
            let rule = plan.rules.iter().find(|rule| rule.name.as_str() == "r3");
            rule.and_then(|rule| rule.terms.when.clone()).unwrap()
        };
        let bytes = u32::try_from(when("client/a").pattern_bytes()).unwrap();
        assert!(bytes > 10_000, "{bytes}");
        let weight = |path: &str| weight(&plan(path));
        assert!(weight("client/a") > weight("client/b") + bytes / 2);
        assert!(Arc::ptr_eq(&when("client/a"), &when("client/a/site/en")));
        assert!(weight("client/a/site/en") < weight("client/b") + bytes / 2);
    }

    #[test]
    fn a_plan_in_use_keeps_the_one_whose_parts_it_has() {
        let names: Vec<_> = (0..20).map(|i| format!("scopes/client/c{i}")).collect();
        let mut documents = vec![
            ("scopes/client/a", r#"{"rules": {"r3": {"review_at": 0.5}}}"#),
            ("scopes/client/a/site/en", r#"{"rules": {"r4": {"review_at": 0.5}}}"#),
        ];
        let other = r#"{"rules": {"r5": {"review_at": 0.5}}}"#;
        documents.extend(names.iter().map(|name| (name.as_str(), other)));
        let mut policy = example(&documents);
        let path = |path: &str| path.parse::<ScopePath>().unwrap();
        let weigh = |policy: &Policy, scope| u64::from(weight(&policy.plan(&path(scope)).unwrap()));
        let room = weigh(&policy, "platform") + 6 * weigh(&policy, "client/a");
        policy.plans.cache = cache(room);
        for name in &names {
            for _ in 0..2 * FINDS {
                policy.plan(&path("client/a/site/en"));
            }
            policy.plan(&path(name.trim_start_matches("scopes/")));
            policy.plans.cache.run_pending_tasks();
        }
        let is_kept = |scope| policy.plans.find(policy.tree.get(&path(scope)).unwrap().plan);
        assert!(is_kept("client/c0").is_none());
        assert!(is_kept("client/a/site/en").is_some());
        assert!(is_kept("client/a").is_some());
    }

    #[test]
    fn what_is_only_tried_takes_no_place_of_what_is_in_use() {
        let policy = example(&[("scopes/client/a", "{}")]);
        let tried = policy.beside();
        assert!(tried.plan(&ScopePath::Platform).is_some());
        assert!(tried.plans.bytes() > 0);
        assert_eq!(policy.plans.bytes(), 0);
    }
}
