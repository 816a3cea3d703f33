//! The tree of scopes: who inherits from whom, and who needs a document.

use std::collections::BTreeSet;

use super::Policy;
use super::json::Setting;
use super::scope::ScopeDocument;
use super::scope_path::ScopePath;
use super::subject::Subject;
use crate::problem::Problem;

/// The most levels that a scope may be below the platform, so that one verdict's options stay readable.
const MAX_DEPTH: usize = 16;

impl Policy {
    /// The documents from the platform down to `scope`.
    pub(super) fn lineage<'a>(
        &'a self,
        scope: &'a ScopePath,
    ) -> Result<Vec<(&'a ScopePath, &'a ScopeDocument)>, Problem> {
        let mut lineage: Vec<(&ScopePath, &ScopeDocument)> = Vec::new();
        let mut next = Some(scope.clone());
        while let Some(path) = next {
            let child = lineage.last().map_or(scope, |(child, _)| child);
            if lineage.iter().any(|(seen, _)| **seen == path) {
                return Err(broken(child, &path, "would inherit from itself"));
            }
            if lineage.len() > MAX_DEPTH {
                let what = format!("is more than {MAX_DEPTH} levels below the platform");
                return Err(broken(scope, &path, &what));
            }
            let Some((path, document)) = self.scopes.get_key_value(&path) else {
                return Err(broken(child, &path, "has a parent that does not exist"));
            };
            next = path.parent(document.parent.as_ref())?;
            lineage.push((path, document));
        }
        lineage.reverse();
        Ok(lineage)
    }

    /// `scope` and every scope below it.
    pub(super) fn descendants(&self, scope: &ScopePath) -> Result<BTreeSet<ScopePath>, Problem> {
        let mut found = BTreeSet::new();
        for path in self.scopes.keys() {
            if self.lineage(path)?.iter().any(|(ancestor, _)| *ancestor == scope) {
                found.insert(path.clone());
            }
        }
        Ok(found)
    }

    /// A scope that could not be without the document of `subject`.
    pub(super) fn first_user(&self, subject: &Subject) -> Option<&ScopePath> {
        let uses = |path: &ScopePath, document: &ScopeDocument| match subject {
            Subject::Model(name) => {
                document.rules.values().any(|rule| rule.model == Setting::Set(name.clone()))
            }
            Subject::Scope(scope) => path
                .parent(document.parent.as_ref())
                .is_ok_and(|parent| parent.as_ref() == Some(scope)),
        };
        self.scopes.iter().find(|(path, document)| uses(path, document)).map(|(path, _)| path)
    }
}

fn broken(child: &ScopePath, parent: &ScopePath, what: &str) -> Problem {
    Problem::invalid(format!("parent: `{child}` {what}: `{parent}`"))
}

#[cfg(test)]
mod tests {
    use super::super::example::{MODEL, policy};

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
            assert!(policy.without(&used.parse().unwrap()).is_err(), "{used}");
        }
        assert!(policy.without(&"scopes/client/a/site/en".parse().unwrap()).is_ok());
    }
}
