//! The tree of scopes: who inherits from whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Document;
use super::json::Setting;
use super::name::Name;
use super::plans::PlanKey;
use super::scope::ScopeDocument;
use super::scope_path::ScopePath;
use super::shards::Shards;
use crate::problem::Problem;

/// The most levels that a scope may be below the platform, so that one verdict's options stay readable.
pub(super) const MAX_DEPTH: usize = 16;

/// The scopes at one policy version; a copy shares what has not changed since.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    scopes: Shards<ScopePath, Scope>,
    /// The scopes right below each scope, which may itself be missing.
    children: Shards<ScopePath, Arc<BTreeSet<ScopePath>>>,
}

/// A scope and where its plan is found.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// What its document says.
    pub(super) source: Arc<Source>,
    /// Its plan's key, a new one whenever its options change.
    pub(super) plan: PlanKey,
}

/// A scope's document, read.
#[derive(Debug)]
pub(super) struct Source {
    /// Whose it is.
    pub(super) path: ScopePath,
    /// The scope that it inherits from; none for the platform.
    pub(super) parent: Option<ScopePath>,
    /// The options that it sets, clears or locks.
    pub(super) options: ScopeDocument,
    /// The document as it was put.
    pub(super) document: Document,
}

impl Source {
    /// Reads the document of `path`.
    pub(super) fn parse(path: ScopePath, document: Document) -> Result<Self, Problem> {
        let options = ScopeDocument::parse(&document.text)?;
        let parent = path.parent(options.parent.as_ref())?;
        Ok(Self { path, parent, options, document })
    }

    /// Whether the document names one of these models.
    pub(super) fn names_any(&self, models: &BTreeSet<&Name>) -> bool {
        self.options.rules.iter().any(|(_, rule)| match &rule.model {
            Setting::Set(model) => models.contains(model),
            _ => false,
        })
    }
}

impl Tree {
    pub(super) fn get(&self, scope: &ScopePath) -> Option<&Scope> {
        self.scopes.get(scope)
    }

    /// All scopes, in no order.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.values()
    }

    /// The scopes right below `scope`, which need it.
    pub(super) fn children(&self, scope: &ScopePath) -> impl Iterator<Item = &ScopePath> {
        self.children.get(scope).into_iter().flat_map(|children| children.iter())
    }

    /// Puts a scope in, or in place of the one with its path.
    pub(super) fn put(&mut self, source: Source) {
        let path = source.path.clone();
        // The platform's children are thousands, which a change of one of them leaves as they are.
        if self.get(&path).is_none_or(|before| before.source.parent != source.parent) {
            self.remove(&path);
            if let Some(parent) = &source.parent {
                Arc::make_mut(self.children.entry(parent)).insert(path.clone());
            }
        }
        self.scopes.insert(path, Scope { source: Arc::new(source), plan: PlanKey::default() });
    }

    pub(super) fn remove(&mut self, path: &ScopePath) {
        let Some(scope) = self.scopes.remove(path) else { return };
        let Some(parent) = &scope.source.parent else { return };
        let siblings = Arc::make_mut(self.children.entry(parent));
        siblings.remove(path);
        if siblings.is_empty() {
            self.children.remove(parent);
        }
    }

    /// Says where a scope's plan is found from now on.
    pub(super) fn set_plan(&mut self, path: &ScopePath, plan: PlanKey) {
        if let Some(scope) = self.scopes.get_mut(path) {
            scope.plan = plan;
        }
    }

    /// The scopes from the platform down to `scope`.
    pub(super) fn lineage(&self, scope: &ScopePath) -> Result<Vec<&Source>, Problem> {
        let mut lineage: Vec<&Source> = Vec::new();
        let mut next = Some(scope);
        while let Some(path) = next {
            let child = lineage.last().map_or(scope, |child| &child.path);
            if lineage.iter().any(|seen| seen.path == *path) {
                return Err(broken(child, path, "would inherit from itself"));
            }
            if lineage.len() > MAX_DEPTH {
                return Err(too_deep(scope, path));
            }
            let found = self.get(path);
            let missing = || broken(child, path, "has a parent that does not exist");
            let source = &found.ok_or_else(missing)?.source;
            next = source.parent.as_ref();
            lineage.push(source);
        }
        lineage.reverse();
        Ok(lineage)
    }
}

/// The refusal for a scope with more than [`MAX_DEPTH`] scopes above it.
pub(super) fn too_deep(scope: &ScopePath, above: &ScopePath) -> Problem {
    broken(scope, above, &format!("is more than {MAX_DEPTH} levels below the platform"))
}

fn broken(child: &ScopePath, parent: &ScopePath, what: &str) -> Problem {
    Problem::invalid(format!("parent: `{child}` {what}: `{parent}`"))
}
#[cfg(test)]
mod tests {
    use super::super::example::{MODEL, policy};
    use crate::problem::Kind;

    const PLATFORM: (&str, &str) = ("scopes/platform", "{}");

    #[test]
    fn a_parent_that_does_not_exist_is_named_with_its_child() {
        let fault = policy(&[PLATFORM, ("scopes/client/a", r#"{"parent": "industry/beer"}"#)])
            .unwrap_err()
            .detail;
        assert!(fault.contains("`client/a`") && fault.contains("`industry/beer`"), "{fault}");
    }

    #[test]
    fn a_cycle_is_refused() {
        let a = ("scopes/industry/a", r#"{"parent": "industry/b"}"#);
        let b = ("scopes/industry/b", r#"{"parent": "industry/a"}"#);
        let fault = policy(&[PLATFORM, a, b]).unwrap_err().detail;
        assert!(fault.contains("`industry/a`") && fault.contains("`industry/b`"), "{fault}");
        let own = ("scopes/industry/a", r#"{"parent": "industry/a"}"#);
        assert!(policy(&[PLATFORM, own]).unwrap_err().detail.contains("inherit from itself"));
    }

    #[test]
    fn a_scope_may_be_16_levels_below_the_platform_and_no_more() {
        let chain = |levels: usize| {
            let documents: Vec<_> = (1..=levels)
                .map(|level| (format!("scopes/client/c{level}"), format!("client/c{}", level - 1)))
                .map(|(subject, parent)| (subject, format!(r#"{{"parent": "{parent}"}}"#)))
                .collect();
            let mut documents: Vec<(&str, &str)> =
                documents.iter().map(|(subject, text)| (&**subject, &**text)).collect();
            documents[0].1 = "{}";
            policy(&[&[PLATFORM], &documents[..]].concat()).map_err(|problem| problem.detail)
        };
        assert!(chain(16).is_ok());
        let fault = chain(17).unwrap_err();
        assert!(fault.contains("`client/c17` is more than 16 levels below"), "{fault}");
    }

    #[test]
    fn what_is_in_use_cannot_be_deleted() {
        let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam", "enabled": false}}}"#;
        let policy = policy(&[
            MODEL,
            ("scopes/platform", rule),
            ("scopes/client/a", "{}"),
            ("scopes/client/a/site/en", "{}"),
        ])
        .unwrap();
        for used in ["models/m", "scopes/platform", "scopes/client/a"] {
            let deleted = policy.apply(&[(used.parse().unwrap(), None)]);
            assert_eq!(deleted.unwrap_err().kind, Kind::InUse, "{used}");
        }
        assert!(policy.apply(&[("scopes/client/a/site/en".parse().unwrap(), None)]).is_ok());
    }
}
