//! The options of everyone: an immutable snapshot that each change replaces.

pub(crate) mod name;
pub(crate) mod scope_path;
pub(crate) mod subject;
pub(crate) mod distinct;
pub(crate) mod json;
pub(crate) mod fingerprint;
pub(crate) mod condition;
pub(crate) mod model;
pub(crate) mod scope;
pub(crate) mod lock;
mod shards;
mod tree;
pub(crate) mod merge;
mod order;
mod size;
mod check;
pub(crate) mod plan;
mod compile;
mod plans;
#[cfg(test)]
mod scale;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use check::{Change, check_patterns};
use merge::{Merged, merge};
use model::Model;
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

/// Where edits come from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nature {
    /// Somebody changes one document, and need not be told which one is at fault.
    One,
    /// Somebody changes many.
    Many,
    /// They were accepted before, perhaps under other limits.
    Stored,
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
        let nature = if edits.len() > 1 { Nature::Many } else { Nature::One };
        self.edit(version, &edits, nature)
    }

    /// The version that another router has stored, which differs from this one by these edits.
    pub(crate) fn follow(
        &self,
        version: i64,
        edits: &[(Subject, Option<Document>)],
    ) -> Result<Self, Problem> {
        self.edit(version, edits, Nature::Stored)
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

    /// A registered model, to be kept.
    pub(crate) fn shared_model(&self, name: &Name) -> Option<&Arc<Model>> {
        self.models.get(name)
    }

    /// The registered models, to be kept.
    pub(crate) fn shared_models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
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

    /// The plan for a client's site: a few look-ups, or a compilation where there was none yet.
    pub(crate) fn plan_for(&self, client: &Name, site: Option<&Name>) -> Option<Arc<Plan>> {
        self.find(client, site).map(|scope| self.plan_of(scope))
    }

    /// The same, for the tasks that answer: a compilation takes place beside them.
    pub(crate) async fn plan_soon(
        self: &Arc<Self>,
        client: &Name,
        site: Option<&Name>,
    ) -> Option<Arc<Plan>> {
        if let Some(plan) = self.plan_at_hand(self.find(client, site)?) {
            return Some(plan);
        }
        let (policy, client, site) = (Arc::clone(self), client.clone(), site.cloned());
        aside(move || policy.plan_for(&client, site.as_ref())).await
    }

    /// The same options, whose plans take no place of those in use.
    pub(crate) fn beside(&self) -> Self {
        Self { plans: self.plans.beside(), ..self.clone() }
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
        self.plan_at_hand(scope).unwrap_or_else(|| self.make_plan(scope))
    }

    /// The plan of a scope, if it is kept. It has parts of the plans above: these are as much in use.
    fn plan_at_hand(&self, scope: &Scope) -> Option<Arc<Plan>> {
        let (plan, is_due) = self.plans.find_in_use(scope.plan)?;
        let mut below = scope;
        while let Some(above) = self.above(below).filter(|_| is_due) {
            if above.plan != below.plan {
                self.plans.find(above.plan);
            }
            below = above;
        }
        Some(plan)
    }

    fn above(&self, scope: &Scope) -> Option<&Scope> {
        self.tree.get(scope.source.parent.as_ref()?)
    }

    fn make_plan(&self, scope: &Scope) -> Arc<Plan> {
        let above = self.above(scope).map(|above| self.plan_of(above));
        self.plans.make(scope.plan, || {
            let lineage = self.tree.lineage(&scope.source.path);
            let options = merge(lineage.expect("checked when it was put"));
            compile::compile(&options, &self.models, above.as_deref())
        })
    }

    fn edit(
        &self,
        version: i64,
        edits: &[(Subject, Option<Document>)],
        nature: Nature,
    ) -> Result<Self, Problem> {
        let mut next = Self { version, ..self.clone() };
        for (subject, document) in edits {
            let done = next.put(subject, document.as_ref(), nature);
            done.map_err(|problem| match nature {
                Nature::One => problem,
                Nature::Many | Nature::Stored => problem.about(subject),
            })?;
        }
        let deleted = edits.iter().map(|(subject, _)| subject);
        deleted
            .filter(|subject| next.document(subject).is_none())
            .try_for_each(|subject| next.check_unused(subject))?;
        let changed = self.touched(&next, edits);
        let written = edits.iter().filter_map(|(subject, _)| subject.as_scope()).collect();
        let change = Change { before: &self.tree, written };
        let change = (nature != Nature::Stored).then_some(change);
        let checked = check::check((&next.tree, &next.models), &changed, &next.plans, change)?;
        for (scope, plan) in checked {
            next.tree.set_plan(&scope, plan);
        }
        Ok(next)
    }

    fn put(
        &mut self,
        subject: &Subject,
        document: Option<&Document>,
        nature: Nature,
    ) -> Result<(), Problem> {
        match (subject, document) {
            (Subject::Model(name), Some(source)) => {
                let model = Model::parse(name.clone(), source.clone())?;
                Arc::make_mut(&mut self.models).insert(name.clone(), Arc::new(model));
            }
            (Subject::Scope(path), Some(document)) => {
                let source = Source::parse(path.clone(), document.clone())?;
                if nature != Nature::Stored {
                    // Before the next one is read, which takes as long.
                    let before = self.tree.get(path).map(|scope| &*scope.source);
                    check_patterns(&source, before)?;
                }
                self.tree.put(source);
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
mod tests;
