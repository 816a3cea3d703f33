//! Models and scopes: getting, putting and deleting their documents.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::body::{MediaType, read_text};
use super::precondition::{Precondition, etag};
use super::segment::Segment;
use crate::app::App;
use crate::policy::name::Name;
use crate::policy::scope_path::ScopePath;
use crate::policy::subject::Subject;
use crate::problem::{Kind, Problem};
use crate::store::Change;

/// The largest document that is read.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// The longest reason that is kept.
const MAX_REASON_BYTES: usize = 1000;
/// Who changes things, as long as callers do not say who they are.
const AUTHOR: &str = "anonymous";
/// How often a change is tried while other routers keep getting in before it.
const ATTEMPTS: usize = 5;

type Shared = State<Arc<App>>;

pub(super) async fn get_model(
    State(app): Shared,
    Segment(name): Segment<Name>,
) -> Result<Response, Problem> {
    get(&app, &Subject::Model(name))
}

pub(super) async fn get_scope(
    State(app): Shared,
    Segment(path): Segment<ScopePath>,
) -> Result<Response, Problem> {
    get(&app, &Subject::Scope(path))
}

pub(super) async fn put_model(
    State(app): Shared,
    Segment(name): Segment<Name>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    put(app, Subject::Model(name), &headers, body).await
}

pub(super) async fn put_scope(
    State(app): Shared,
    Segment(path): Segment<ScopePath>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    put(app, Subject::Scope(path), &headers, body).await
}

pub(super) async fn delete_model(
    State(app): Shared,
    Segment(name): Segment<Name>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    delete(app, Subject::Model(name), &headers).await
}

pub(super) async fn delete_scope(
    State(app): Shared,
    Segment(path): Segment<ScopePath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    delete(app, Subject::Scope(path), &headers).await
}

fn get(app: &App, subject: &Subject) -> Result<Response, Problem> {
    let policy = app.policy.load();
    let document = policy.document(subject).ok_or_else(|| unknown(subject))?;
    let headers = [(CONTENT_TYPE, "application/json".to_owned()), (ETAG, etag(document.version))];
    Ok((headers, document.text.to_string()).into_response())
}

async fn put(
    app: Arc<App>,
    subject: Subject,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    MediaType::demand_json(headers)?;
    let edit = Edit {
        subject,
        precondition: Some(Precondition::demanded(headers)?),
        reason: reason(headers)?,
        text: Some(read_text(body, MAX_DOCUMENT_BYTES).await?.into()),
    };
    let (status, version) = change(app, edit).await?;
    Ok((status, [(ETAG, etag(version))]).into_response())
}

async fn delete(app: Arc<App>, subject: Subject, headers: &HeaderMap) -> Result<Response, Problem> {
    let precondition = Precondition::of(headers)?;
    let edit = Edit { subject, precondition, reason: reason(headers)?, text: None };
    let (status, _) = change(app, edit).await?;
    Ok(status.into_response())
}

fn unknown(subject: &Subject) -> Problem {
    Problem::new(subject.unknown(), format!("`{subject}` does not exist"))
}

fn reason(headers: &HeaderMap) -> Result<Option<String>, Problem> {
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

/// A change that a caller asks for.
struct Edit {
    subject: Subject,
    precondition: Option<Precondition>,
    reason: Option<String>,
    /// The new document; none to delete.
    text: Option<Arc<str>>,
}

/// Makes the change in a task of its own: a caller that hangs up must not leave the database
/// changed and the policy in force not.
async fn change(app: Arc<App>, edit: Edit) -> Result<(StatusCode, i64), Problem> {
    let changes = app.changes.clone();
    let done = changes.spawn(async move { apply(&app, &edit).await }).await;
    done.map_err(|error| {
        tracing::error!(%error, "a change of the options failed");
        Problem::new(Kind::StoreUnavailable, "the change could not be made")
    })?
}

async fn apply(app: &App, edit: &Edit) -> Result<(StatusCode, i64), Problem> {
    let _changing = app.changing.lock().await;
    for _ in 0..ATTEMPTS {
        app.catch_up().await?;
        if let Some(done) = attempt(app, edit).await? {
            return Ok(done);
        }
    }
    let detail = "other routers keep changing the options in this database; try again later";
    Err(Problem::new(Kind::StoreUnavailable, detail))
}

/// Makes the change to the options in force; nothing if another router was faster.
async fn attempt(app: &App, edit: &Edit) -> Result<Option<(StatusCode, i64)>, Problem> {
    let policy = app.policy.load_full();
    let current = policy.document(&edit.subject);
    if let Some(precondition) = &edit.precondition {
        precondition.check(current.map(|document| document.version))?;
    }
    let (next, status) = match (&edit.text, current) {
        (Some(text), None) => (policy.with(&edit.subject, Arc::clone(text))?, StatusCode::CREATED),
        (Some(text), Some(_)) => {
            (policy.with(&edit.subject, Arc::clone(text))?, StatusCode::NO_CONTENT)
        }
        (None, Some(_)) => (policy.without(&edit.subject)?, StatusCode::NO_CONTENT),
        (None, None) => return Err(unknown(&edit.subject)),
    };
    let version = next.version;
    let change = Change {
        version,
        author: AUTHOR,
        reason: edit.reason.as_deref(),
        subject: &edit.subject,
        before: current.map(|document| &*document.text),
        after: edit.text.as_deref(),
    };
    if !app.store.apply(&change).await? {
        return Ok(None);
    }
    app.install(next);
    tracing::info!(subject = %edit.subject, version, "options changed");
    Ok(Some((status, version)))
}
