//! Makes changes of the options: checked as a whole, stored, put in force, all or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::precondition::Precondition;
use super::room::Room;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::policy::model::Endpoint;
use crate::policy::scope::ScopeDocument;
use crate::policy::scope_path::ScopePath;
use crate::policy::subject::Subject;
use crate::policy::{Policy, aside};
use crate::problem::{Kind, Problem};
use crate::store::{Change, DocumentChange, unavailable};

/// The longest reason that is kept.
const MAX_REASON_BYTES: usize = 1000;
/// How long a change waits while others of this router are made.
const QUEUE_PATIENCE: Duration = Duration::from_secs(30);
/// How long it is tried while other routers get in before it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a caller asks for.
#[derive(Debug)]
pub(super) struct Proposal {
    /// Whose it is.
    pub(super) caller: Caller,
    /// Why, in the author's words.
    pub(super) reason: Option<String>,
    /// What must be so for it to be made.
    pub(super) precondition: Option<Precondition>,
    /// What is to change.
    pub(super) edit: Edit,
    /// Whether only to say what would change.
    pub(super) dry_run: bool,
    /// What its text takes of the room for large bodies, until all is done.
    #[expect(dead_code, reason = "it is held, not read")]
    pub(super) room: Option<Room>,
}

/// What is to change.
#[derive(Debug)]
pub(super) enum Edit {
    /// One document gets this text, be it the one that it has.
    Put(Subject, Arc<str>),
    /// One document, which must exist, is deleted.
    Delete(Subject),
    /// Documents get these texts, or are deleted; those that say the same already are left alone.
    Documents(BTreeMap<Subject, Option<Arc<str>>>),
    /// All documents become what they were at this version.
    Revert(i64),
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    /// The policy version that is in force now.
    pub(super) version: i64,
    /// What changed, or would change.
    pub(super) changes: Vec<DocumentChange>,
    /// Whether a version was made.
    pub(super) made: bool,
}

/// The author's words, from the request's headers.
pub(super) fn reason(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("gatehouse-reason") else { return Ok(None) };
    match str::from_utf8(value.as_bytes()) {
        Ok(reason) if reason.len() <= MAX_REASON_BYTES => Ok(Some(reason.to_owned())),
        _ => Err(Problem::new(
            Kind::Malformed,
            format!(
                "the header Gatehouse-Reason must be UTF-8 of at most {MAX_REASON_BYTES} bytes"
            ),
        )),
    }
}

/// Makes the change in a task of its own: a caller that hangs up must not leave the database
/// changed and the policy in force not.
pub(super) async fn change(app: Arc<App>, proposal: Proposal) -> Result<Done, Problem> {
    let changes = app.changes.clone();
    let done = changes.spawn(async move { make(&app, &proposal).await }).await;
    done.map_err(|error| {
        tracing::error!(%error, "a change of the options failed");
        Problem::new(Kind::StoreUnavailable, "the change could not be made")
    })?
}

async fn make(app: &App, proposal: &Proposal) -> Result<Done, Problem> {
    let busy = || {
        let detail = "too many change the options in this database; try again later";
        Problem::new(Kind::StoreUnavailable, detail)
    };
    let _changing = timeout(QUEUE_PATIENCE, app.changing.lock()).await.map_err(|_| busy())?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        app.catch_up().await?;
        if let Some(done) = attempt(app, proposal).await? {
            return Ok(done);
        }
    }
    Err(busy())
}

/// What a proposal would do, if nothing comes in between.
struct Draft {
    policy: Arc<Policy>,
    changes: Vec<DocumentChange>,
    /// The next version; none where nothing changes.
    next: Option<Policy>,
}

/// The options in force, and what the proposal would make of them, all of it checked.
pub(super) async fn preview(app: &App, proposal: &Proposal) -> Result<[Arc<Policy>; 2], Problem> {
    app.catch_up().await?;
    let Draft { policy, next, .. } = draft(app, proposal).await?;
    let next = next.map_or_else(|| Arc::clone(&policy), Arc::new);
    // What is only tried takes no place of what is in use.
    Ok([policy, next].map(|policy| Arc::new(policy.beside())))
}

async fn draft(app: &App, proposal: &Proposal) -> Result<Draft, Problem> {
    let policy = app.policy.load_full();
    proposal.permit(proposal.named())?;
    let changes = proposal.changes(app, &policy).await?;
    proposal.permit(changes.iter().map(|change| &change.subject))?;
    // Before anything is looked at that is not the caller's.
    proposal.permit_moves(&policy, &changes)?;
    if changes.is_empty() {
        return Ok(Draft { policy, changes, next: None });
    }
    let edits = changes.iter().map(|change| (change.subject.clone(), change.after.clone()));
    let (base, edits) = (Arc::clone(&policy), edits.collect::<Vec<_>>());
    let next = aside(move || base.apply(&edits)).await?;
    check_endpoints(app, &next, &changes)?;
    Ok(Draft { policy, changes, next: Some(next) })
}

/// Makes the change to the options in force; nothing if another router was faster.
async fn attempt(app: &App, proposal: &Proposal) -> Result<Option<Done>, Problem> {
    let Draft { policy, changes, next } = draft(app, proposal).await?;
    let Some(next) = next.filter(|_| !proposal.dry_run) else {
        return Ok(Some(Done { version: policy.version, changes, made: false }));
    };
    let (author, reason) = (proposal.caller.name().to_owned(), proposal.reason.clone());
    let change = Change { version: next.version, author, reason, changes };
    if !app.store.apply(&change).await? {
        return Ok(None);
    }
    app.install(&policy, next);
    let Change { version, changes, .. } = change;
    tracing::info!(version, documents = changes.len(), "options changed");
    Ok(Some(Done { version, changes, made: true }))
}

/// Refuses models at addresses that this router does not call.
fn check_endpoints(app: &App, next: &Policy, changes: &[DocumentChange]) -> Result<(), Problem> {
    for change in changes {
        let Subject::Model(name) = &change.subject else { continue };
        let Some(model) = next.model(name) else { continue };
        if let Endpoint::Http(url) = &model.document.endpoint {
            let checked = app.guard.check_url("endpoint.http", url);
            checked.map_err(|fault| name_among(changes, change, fault))?;
        }
    }
    Ok(())
}

/// Names the document at fault to whoever changes several.
fn name_among(changes: &[DocumentChange], faulty: &DocumentChange, fault: Problem) -> Problem {
    if changes.len() > 1 { fault.about(&faulty.subject) } else { fault }
}

/// The scope that the document's scope is to inherit from; none if it is to be deleted.
fn next_parent(path: &ScopePath, change: &DocumentChange) -> Result<Option<ScopePath>, Problem> {
    let Some(text) = &change.after else { return Ok(None) };
    path.parent(ScopeDocument::parent(text)?.as_ref())
}

impl Proposal {
    /// The documents that it names, whether they change or not.
    fn named(&self) -> Vec<&Subject> {
        match &self.edit {
            Edit::Put(subject, _) | Edit::Delete(subject) => vec![subject],
            Edit::Documents(documents) => documents.keys().collect(),
            Edit::Revert(_) => Vec::new(),
        }
    }

    /// Refuses what the caller may not change.
    fn permit<'a>(&self, subjects: impl IntoIterator<Item = &'a Subject>) -> Result<(), Problem> {
        let demand = |subject| self.caller.demand(Permission::Change(subject));
        subjects.into_iter().try_for_each(demand)
    }

    /// Refuses to leave or join a scope whose options the caller may not change: it would show him
    /// what another client has set, or free him of what his industry has locked. Whether there is
    /// such a scope is not told either. A site is always its client's.
    fn permit_moves(&self, before: &Policy, changes: &[DocumentChange]) -> Result<(), Problem> {
        for change in changes {
            let Subject::Scope(path @ (ScopePath::Industry(_) | ScopePath::Client(_))) =
                &change.subject
            else {
                continue;
            };
            let next = next_parent(path, change);
            let next = next.map_err(|fault| name_among(changes, change, fault))?;
            let parents = [before.parent(path).cloned(), next];
            if parents[0] == parents[1] {
                continue;
            }
            for parent in parents.into_iter().flatten().map(Subject::Scope) {
                self.permit([&parent]).map_err(|refusal| refusal.about(&change.subject))?;
            }
        }
        Ok(())
    }

    /// What it changes of `policy`, if its precondition holds.
    async fn changes(&self, app: &App, policy: &Policy) -> Result<Vec<DocumentChange>, Problem> {
        let current = |subject: &Subject| policy.document(subject);
        if let Some(precondition) = &self.precondition {
            precondition.check(match &self.edit {
                Edit::Put(subject, _) | Edit::Delete(subject) => {
                    current(subject).map(|document| document.version)
                }
                Edit::Documents(_) | Edit::Revert(_) => Some(policy.version),
            })?;
        }
        let change = |subject: &Subject, after: Option<Arc<str>>| {
            let before = current(subject).map(|document| Arc::clone(&document.text));
            DocumentChange { subject: subject.clone(), before, after }
        };
        match &self.edit {
            Edit::Put(subject, text) => Ok(vec![change(subject, Some(Arc::clone(text)))]),
            Edit::Delete(subject) if current(subject).is_none() => Err(unknown(subject)),
            Edit::Delete(subject) => Ok(vec![change(subject, None)]),
            Edit::Documents(documents) => {
                let changes = documents.iter().map(|(subject, text)| change(subject, text.clone()));
                let changes = changes.collect();
                aside(move || news(changes)).await
            }
            Edit::Revert(version) => reversion(app, policy, *version).await,
        }
    }
}

/// The refusal for a document that does not exist.
pub(super) fn unknown(subject: &Subject) -> Problem {
    Problem::new(subject.unknown(), format!("`{subject}` does not exist"))
}

/// The changes that say something new. The others are checked here, as nobody else will read them.
fn news(changes: Vec<DocumentChange>) -> Result<Vec<DocumentChange>, Problem> {
    let (news, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(says_something_new);
    for DocumentChange { subject, after, .. } in &others {
        after.as_deref().map_or(Ok(()), |text| subject.check(text))?;
    }
    Ok(news)
}

/// Another layout of the same JSON says nothing new.
fn says_something_new(change: &DocumentChange) -> bool {
    let value = |text: &Arc<str>| serde_json::from_str::<Value>(text).ok();
    match (&change.before, &change.after) {
        (None, None) => false,
        (Some(before), Some(after)) => before != after && value(before) != value(after),
        _ => true,
    }
}

/// What turns the documents of `policy` back into those of `version`.
async fn reversion(
    app: &App,
    policy: &Policy,
    version: i64,
) -> Result<Vec<DocumentChange>, Problem> {
    if !(0..=policy.version).contains(&version) {
        return Err(unknown_version(version));
    }
    app.store.difference(policy.version, version).await.map_err(|error| unavailable(&error))
}

/// The refusal for a version that never was.
pub(super) fn unknown_version(version: i64) -> Problem {
    Problem::new(Kind::UnknownVersion, format!("there is no policy version {version}"))
}
