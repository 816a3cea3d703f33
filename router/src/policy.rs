//! The options of everyone: an immutable snapshot that each change replaces.

pub(crate) mod name;
pub(crate) mod scope_path;
pub(crate) mod subject;
pub(crate) mod json;
pub(crate) mod condition;
pub(crate) mod model;
pub(crate) mod scope;
pub(crate) mod lock;
mod shards;
mod tree;
pub(crate) mod merge;
mod order;
mod check;
pub(crate) mod plan;
mod compile;
mod plans;
#[cfg(test)]
mod scale;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use merge::{Merged, merge};
use model::{Model, ModelDocument};
use name::Name;
use plan::Plan;
use plans::Plans;
use scope_path::ScopePath;
use subject::Subject;
use tree::{Scope, Source, Tree};

use crate::problem::{Kind, Problem};

/// All documents at one policy version, and the plans of those scopes that were asked for. A copy
/// shares what has not changed since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// Counts the changes ever made.
    pub(crate) version: i64,
    models: Arc<Models>,
    tree: Tree,
    plans: Plans,
}

/// Works on options beside the tasks that answer: thousands of scopes take their time.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The registered models.
type Models = BTreeMap<Name, Arc<Model>>;

/// A document as it was put, for giving it back.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The text, byte for byte.
    pub(crate) text: Arc<str>,
    /// The policy version that it came with.
    pub(crate) version: i64,
}

impl Policy {
    /// The policy of stored documents.
    pub(crate) fn load(
        version: i64,
        documents: impl IntoIterator<Item = (Subject, Document)>,
    ) -> Result<Self, Problem> {
        let documents = documents.into_iter().map(|(subject, document)| (subject, Some(document)));
        Self::default().follow(version, &documents.collect::<Vec<_>>())
    }

    /// The next version, in which each subject has this document, or none. All of it is checked
    /// together, for every scope that it touches: the order of the edits means nothing, except
    /// that of two for one subject the last one counts.
    pub(crate) fn apply(&self, edits: &[(Subject, Option<Arc<str>>)]) -> Result<Self, Problem> {
        let version = self.version + 1;
        let edits: Vec<_> = edits
            .iter()
            .map(|(subject, text)| {
                let document = text.clone().map(|text| Document { text, version });
                (subject.clone(), document)
            })
            .collect();
        // Who changes one document need not be told which one is at fault.
        self.edit(version, &edits, edits.len() > 1)
    }

    /// The version that another router has stored, which differs from this one by these edits.
    pub(crate) fn follow(
        &self,
        version: i64,
        edits: &[(Subject, Option<Document>)],
    ) -> Result<Self, Problem> {
        self.edit(version, edits, true)
    }

    /// The document as it was put.
    pub(crate) fn document(&self, subject: &Subject) -> Option<&Document> {
        match subject {
            Subject::Model(name) => self.models.get(name).map(|model| &model.source),
            Subject::Scope(path) => self.tree.get(path).map(|scope| &scope.source.document),
        }
    }

    /// All documents, models first.
    pub(crate) fn documents(&self) -> impl Iterator<Item = (Subject, &Document)> {
        let models = self.models.values();
        let models = models.map(|model| (Subject::Model(model.name.clone()), &model.source));
        let scopes = self.tree.scopes().map(|scope| &scope.source);
        let mut scopes: Vec<_> = scopes.map(|scope| (&scope.path, &scope.document)).collect();
        scopes.sort_unstable_by_key(|(path, _)| *path);
        models.chain(
            scopes.into_iter().map(|(path, document)| (Subject::Scope(path.clone()), document)),
        )
    }

    /// The scope that an existing one inherits from; none for the platform.
    pub(crate) fn parent(&self, path: &ScopePath) -> Option<&ScopePath> {
        self.tree.get(path)?.source.parent.as_ref()
    }

    /// A registered model.
    pub(crate) fn model(&self, name: &Name) -> Option<&Model> {
        self.models.get(name).map(|model| &**model)
    }

    /// The registered models, by name.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.values().map(|model| &**model)
    }

    /// The scopes that exist, the platform first.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &ScopePath> {
        let mut paths: Vec<_> = self.tree.scopes().map(|scope| &scope.source.path).collect();
        paths.sort_unstable();
        paths.into_iter()
    }

    /// The scope whose options hold for a client's site: the site's own, or the client's.
    pub(crate) fn scope_of(&self, client: &Name, site: Option<&Name>) -> Option<ScopePath> {
        self.find(client, site).map(|scope| scope.source.path.clone())
    }

    /// The plan for a client's site: two look-ups, or a compilation where there was none yet.
    pub(crate) fn plan_for(&self, client: &Name, site: Option<&Name>) -> Option<Arc<Plan>> {
        self.find(client, site).map(|scope| self.plan_of(scope))
    }

    /// The plan of a scope that exists.
    #[cfg(test)]
    pub(crate) fn plan(&self, scope: &ScopePath) -> Option<Arc<Plan>> {
        self.tree.get(scope).map(|scope| self.plan_of(scope))
    }

    /// A scope's options with their origins.
    pub(crate) fn effective(&self, scope: &ScopePath) -> Result<Merged, Problem> {
        Ok(merge(self.tree.lineage(scope)?))
    }

    fn find(&self, client: &Name, site: Option<&Name>) -> Option<&Scope> {
        let own = site.map(|site| ScopePath::Site(client.clone(), site.clone()));
        own.and_then(|own| self.tree.get(&own))
            .or_else(|| self.tree.get(&ScopePath::Client(client.clone())))
    }

    fn plan_of(&self, scope: &Scope) -> Arc<Plan> {
        self.plans.get(scope.plan, || {
            let lineage = self.tree.lineage(&scope.source.path);
            compile::compile(&merge(lineage.expect("checked when it was put")), &self.models)
        })
    }

    fn edit(
        &self,
        version: i64,
        edits: &[(Subject, Option<Document>)],
        naming: bool,
    ) -> Result<Self, Problem> {
        let mut next = Self { version, ..self.clone() };
        for (subject, document) in edits {
            let done = next.put(subject, document.as_ref());
            done.map_err(|problem| if naming { problem.about(subject) } else { problem })?;
        }
        let deleted = edits.iter().map(|(subject, _)| subject);
        deleted
            .filter(|subject| next.document(subject).is_none())
            .try_for_each(|subject| next.check_unused(subject))?;
        let changed = self.touched(&next, edits);
        for (scope, plan) in check::check((&next.tree, &next.models), &changed, &next.plans)? {
            next.tree.set_plan(&scope, plan);
        }
        Ok(next)
    }

    fn put(&mut self, subject: &Subject, document: Option<&Document>) -> Result<(), Problem> {
        match (subject, document) {
            (Subject::Model(name), Some(source)) => {
                let (name, source) = (name.clone(), source.clone());
                let document = ModelDocument::parse(&source.text)?;
                let model = Model { name: name.clone(), document, source };
                Arc::make_mut(&mut self.models).insert(name, Arc::new(model));
            }
            (Subject::Scope(path), Some(document)) => {
                self.tree.put(Source::parse(path.clone(), document.clone())?);
            }
            (Subject::Model(name), None) => drop(Arc::make_mut(&mut self.models).remove(name)),
            (Subject::Scope(path), None) => self.tree.remove(path),
        }
        Ok(())
    }

    /// Refuses that `subject` has no document if a scope could not be without it.
    fn check_unused(&self, subject: &Subject) -> Result<(), Problem> {
        let user = match subject {
            Subject::Model(name) => self.users(&BTreeSet::from([name])).min(),
            Subject::Scope(path) => self.tree.children(path).next(),
        };
        let Some(user) = user else { return Ok(()) };
        let detail = format!("`{subject}` is in use by `scopes/{user}`; change that first");
        Err(Problem::new(Kind::InUse, detail))
    }

    /// The scopes whose documents name one of these models.
    fn users(&self, models: &BTreeSet<&Name>) -> impl Iterator<Item = &ScopePath> {
        let sources = self.tree.scopes().map(|scope| &scope.source);
        sources.filter(|source| source.names_any(models)).map(|source| &source.path)
    }

    /// The scopes of `next` whose options, or models that they name, these edits have changed.
    fn touched(&self, next: &Self, edits: &[(Subject, Option<Document>)]) -> HashSet<ScopePath> {
        let mut scopes = HashSet::new();
        let mut models = BTreeSet::new();
        for (subject, _) in edits {
            match subject {
                Subject::Scope(path) if next.tree.get(path).is_some() => {
                    scopes.insert(path.clone());
                }
                // No scope can have named a model that is new, except those that are new with it.
                Subject::Model(name) if self.models.contains_key(name) => {
                    models.insert(name);
                }
                _ => {}
            }
        }
        if !models.is_empty() {
            scopes.extend(next.users(&models).cloned());
        }
        scopes
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
        let after = before.apply(&[("scopes/industry/beer".parse().unwrap(), Some(rule.into()))]);
        let after = after.unwrap();
        let plan = |policy: &Policy, path: &str| policy.plan(&path.parse().unwrap()).unwrap();
        let rules = |policy: &Policy, path: &str| plan(policy, path).rules.len();
        assert_eq!((rules(&before, "client/a"), rules(&after, "client/a")), (0, 1));
        assert!(Arc::ptr_eq(&plan(&before, "client/b"), &plan(&after, "client/b")));
        assert_eq!(after.version, 2);
    }

    fn edit(subject: &str, text: Option<&str>) -> (Subject, Option<Arc<str>>) {
        (subject.parse().unwrap(), text.map(Into::into))
    }

    #[test]
    fn many_documents_change_together_in_whatever_order_or_not_at_all() {
        let model = edit(MODEL.0, Some(MODEL.1));
        let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
        let platform = edit("scopes/platform", Some(rule));
        let client = edit("scopes/client/a", Some("{}"));
        let site = edit("scopes/client/a/site/en", Some("{}"));
        let empty = Policy::default();
        let policy = empty.apply(&[site.clone(), client.clone(), platform, model]).unwrap();
        assert_eq!((policy.version, policy.scopes().count()), (1, 3));
        let fault =
            policy.apply(&[edit("scopes/client/b", Some("{}")), edit("models/m", Some("[]"))]);
        assert!(fault.unwrap_err().detail.starts_with("`models/m`: "));
        let gone = ["models/m", "scopes/platform", "scopes/client/a", "scopes/client/a/site/en"];
        let gone = policy.apply(&gone.map(|subject| edit(subject, None))).unwrap();
        assert_eq!((gone.version, gone.scopes().count(), gone.models().count()), (2, 0, 0));
        assert_eq!(empty.apply(&[site, client]).unwrap_err().kind, Kind::Invalid);
    }

    #[test]
    fn what_the_result_still_uses_cannot_be_deleted() {
        let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
        let documents = [
            MODEL,
            ("scopes/platform", rule),
            ("scopes/client/a", "{}"),
            ("scopes/client/b", "{}"),
        ];
        let policy = policy(&documents).unwrap();
        let moved = edit("scopes/client/b", Some(r#"{"parent": "client/a"}"#));
        let deleted = edit("scopes/client/a", None);
        let both = policy.apply(&[moved, deleted.clone()]).unwrap_err();
        assert_eq!(both.kind, Kind::InUse);
        assert!(both.detail.contains("`scopes/client/a` is in use by `scopes/client/b`"));
        assert!(policy.apply(&[deleted]).is_ok());
        let cleared = edit("scopes/platform", Some("{}"));
        assert!(policy.apply(&[edit("models/m", None), cleared]).is_ok());
    }

    #[test]
    fn a_scope_that_says_nothing_shares_its_parents_plan() {
        let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
        let locking = r#"{"locked": ["spam"]}"#;
        let documents = [
            MODEL,
            ("scopes/platform", rule),
            ("scopes/client/a", "{}"),
            ("scopes/client/b", locking),
        ];
        let policy = policy(&documents).unwrap();
        let plan = |path: &str| policy.plan(&path.parse().unwrap()).unwrap();
        assert!(Arc::ptr_eq(&plan("platform"), &plan("client/a")));
        assert!(Arc::ptr_eq(&plan("platform"), &plan("client/b")));
    }

    #[test]
    fn plans_follow_their_models_and_what_was_only_tried_leaves_no_trace() {
        let rule = r#"{"rules": {"spam": {"model": "m", "label": "spam"}}}"#;
        let before =
            policy(&[MODEL, ("scopes/platform", rule), ("scopes/client/a", "{}")]).unwrap();
        let client = "a".parse().unwrap();
        let version = |policy: &Policy| {
            let plan = policy.plan_for(&client, None).unwrap();
            plan.calls[0].model.document.version.clone()
        };
        let model = |version: &str| {
            let text = format!(r#"{{"endpoint": {{"sagemaker": "m"}}, "version": "{version}"}}"#);
            before.apply(&[edit("models/m", Some(&text))]).unwrap()
        };
        assert_eq!(version(&before), None);
        let (tried, made) = (model("tried"), model("made"));
        assert_eq!(version(&tried).as_deref(), Some("tried"));
        assert_eq!(version(&made).as_deref(), Some("made"));
        assert_eq!((version(&before), made.version), (None, 2));
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
