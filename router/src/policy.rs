//! The options of everyone, compiled: an immutable snapshot that each change replaces.

pub(crate) mod name;
pub(crate) mod scope_path;
pub(crate) mod subject;
pub(crate) mod json;
pub(crate) mod model;
pub(crate) mod scope;
pub(crate) mod lock;
pub(crate) mod merge;
pub(crate) mod plan;
mod lineage;
pub(crate) mod compile;

use std::collections::BTreeMap;
use std::sync::Arc;

use compile::{Models, compile};
use merge::{Merged, merge};
use model::{Model, ModelDocument};
use name::Name;
use plan::Plan;
use scope::ScopeDocument;
use scope_path::ScopePath;
use subject::Subject;

use crate::problem::{Kind, Problem};

/// All documents at one policy version, and the plan of every scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Counts the changes ever made.
    pub(crate) version: i64,
    documents: BTreeMap<Subject, Document>,
    models: Models,
    scopes: BTreeMap<ScopePath, Arc<ScopeDocument>>,
    plans: BTreeMap<ScopePath, Arc<Plan>>,
}

/// A document as it was put, for giving it back.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The text, byte for byte.
    pub(crate) text: Arc<str>,
    /// The policy version that it came with.
    pub(crate) version: i64,
}

impl Policy {
    /// The policy of stored documents, every scope compiled.
    pub(crate) fn load(
        version: i64,
        documents: impl IntoIterator<Item = (Subject, Document)>,
    ) -> Result<Self, Problem> {
        let mut policy = Self { version, ..Self::default() };
        for (subject, document) in documents {
            policy.insert(&subject, document).map_err(|problem| problem.about(&subject))?;
        }
        policy.recompile(|_| true)?;
        Ok(policy)
    }

    /// The next version, in which `subject` has this document.
    pub(crate) fn with(&self, subject: &Subject, text: Arc<str>) -> Result<Self, Problem> {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        let version = next.version;
        next.insert(subject, Document { text, version })?;
        match subject {
            Subject::Model(name) => {
                let uses = |scope: &ScopePath| {
                    self.plans[scope].calls.iter().any(|c| c.model.name == *name)
                };
                next.recompile(uses)?;
            }
            Subject::Scope(path) => {
                let below = next.descendants(path)?;
                next.recompile(|scope| below.contains(scope))?;
            }
        }
        Ok(next)
    }

    /// The next version, in which `subject` has no document.
    pub(crate) fn without(&self, subject: &Subject) -> Result<Self, Problem> {
        if let Some(user) = self.first_user(subject) {
            let detail = format!("`{subject}` is in use by `scopes/{user}`; change that first");
            return Err(Problem::new(Kind::InUse, detail));
        }
        let mut next = Self { version: self.version + 1, ..self.clone() };
        next.documents.remove(subject);
        match subject {
            Subject::Model(name) => drop(next.models.remove(name)),
            Subject::Scope(path) => {
                next.scopes.remove(path);
                next.plans.remove(path);
            }
        }
        Ok(next)
    }

    /// The document as it was put.
    pub(crate) fn document(&self, subject: &Subject) -> Option<&Document> {
        self.documents.get(subject)
    }

    /// The registered models, by name.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values().map(|model| &**model)
    }

    /// The scopes that exist, the platform first.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &ScopePath> {
        self.scopes.keys()
    }

    /// The scope whose options hold for a client's site: the site's own, or the client's.
    pub(crate) fn scope_of(&self, client: &Name, site: Option<&Name>) -> Option<ScopePath> {
        let own = site.map(|site| ScopePath::Site(client.clone(), site.clone()));
        own.filter(|scope| self.scopes.contains_key(scope))
            .or_else(|| Some(ScopePath::Client(client.clone())))
            .filter(|scope| self.scopes.contains_key(scope))
    }

    /// The plan of a scope that exists.
    pub(crate) fn plan(&self, scope: &ScopePath) -> Option<&Arc<Plan>> {
        self.plans.get(scope)
    }

    /// A scope's options with their origins.
    pub(crate) fn effective(&self, scope: &ScopePath) -> Result<Merged, Problem> {
        Ok(merge(&self.lineage(scope)?))
    }

    fn insert(&mut self, subject: &Subject, document: Document) -> Result<(), Problem> {
        match subject {
            Subject::Model(name) => {
                let parsed = ModelDocument::parse(&document.text)?;
                let model = Model { name: name.clone(), document: parsed };
                self.models.insert(name.clone(), Arc::new(model));
            }
            Subject::Scope(path) => {
                let parsed = ScopeDocument::parse(&document.text)?;
                self.scopes.insert(path.clone(), Arc::new(parsed));
            }
        }
        self.documents.insert(subject.clone(), document);
        Ok(())
    }

    /// Checks and compiles the scopes that `affected` picks.
    fn recompile(&mut self, affected: impl Fn(&ScopePath) -> bool) -> Result<(), Problem> {
        let mut plans = Vec::new();
        for scope in self.scopes.keys().filter(|scope| affected(scope)) {
            let lineage = self.lineage(scope)?;
            let merged = merge(&lineage);
            lock::check_locks(&lineage, &merged)?;
            plans.push((scope.clone(), Arc::new(compile(scope, merged, &self.models)?)));
        }
        self.plans.extend(plans);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod example {
    //! Small policies for the tests of the modules around.

    use super::*;

    /// The policy of these documents, such as `("scopes/platform", "{}")`.
    pub(crate) fn policy(documents: &[(&str, &str)]) -> Result<Policy, Problem> {
        Policy::load(
            1,
            documents.iter().map(|(subject, text)| {
                (subject.parse().unwrap(), Document { text: (*text).into(), version: 1 })
            }),
        )
    }

    /// A model that is never called.
    pub(crate) const MODEL: (&str, &str) = ("models/m", r#"{"endpoint": {"sagemaker": "m"}}"#);
}

#[cfg(test)]
mod tests {
    use super::*;
    use example::{MODEL, policy};

    #[test]
    fn a_change_recompiles_the_scopes_below_and_leaves_the_others() {
        let before = policy(&[
            MODEL,
            ("scopes/platform", "{}"),
            ("scopes/industry/beer", "{}"),
            ("scopes/client/a", r#"{"parent": "industry/beer"}"#),
            ("scopes/client/b", "{}"),
        ])
        .unwrap();
        let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
        let after = before.with(&"scopes/industry/beer".parse().unwrap(), rule.into()).unwrap();
        let rules = |policy: &Policy, path: &str| policy.plans[&path.parse().unwrap()].rules.len();
        assert_eq!((rules(&before, "client/a"), rules(&after, "client/a")), (0, 1));
        let b = "client/b".parse().unwrap();
        assert!(Arc::ptr_eq(&before.plans[&b], &after.plans[&b]));
        assert_eq!(after.version, 2);
    }

    #[test]
    fn a_stored_document_that_cannot_be_read_is_named() {
        for (subject, text) in [
            ("models/m", r#"{"endpoint": {}}"#),
            ("scopes/client/a", "{"),
            ("scopes/client/a", r#"{"colour": 1}"#),
        ] {
            let fault = policy(&[("scopes/platform", "{}"), (subject, text)]).unwrap_err().detail;
            assert!(fault.starts_with(&format!("`{subject}`: ")), "{fault}");
        }
    }

    #[test]
    fn a_site_without_a_scope_uses_its_clients() {
        let policy = policy(&[
            ("scopes/platform", "{}"),
            ("scopes/client/a", "{}"),
            ("scopes/client/a/site/en", "{}"),
        ])
        .unwrap();
        let (client, site) = ("a".parse().unwrap(), "en".parse().unwrap());
        let scope = |site| policy.scope_of(&client, site).unwrap().to_string();
        assert_eq!(scope(Some(&site)), "client/a/site/en");
        assert_eq!(scope(Some(&client)), "client/a");
        assert_eq!(policy.scope_of(&site, None), None);
    }
}
