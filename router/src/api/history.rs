//! Looks back at the options: their versions, what each changed, the documents at one.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::change::unknown_version;
use super::difference::{Shown, raw, show};
use super::openapi::{AnyDocument, ETag};
use super::precondition::etag;
use super::query::{Asked, asked};
use super::segment::Segment;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::policy::subject::Subject;
use crate::problem::Problem;
use crate::store::history::Version;
use crate::store::unavailable;

/// The most versions in one answer.
const MAX_VERSIONS: i64 = 500;

type Shared = State<Arc<App>>;

/// The query of [`list`].
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only versions below this one: the `next` of the answer before.
    #[serde(default = "any")]
    before: i64,
    /// The most versions to answer.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: i64,
}

fn any() -> i64 {
    i64::MAX
}

fn fifty() -> i64 {
    50
}

/// Whether the caller may know of changes of this document.
fn sees(caller: &Caller, subject: &str) -> bool {
    subject.parse().is_ok_and(|subject| caller.may(Permission::History(&subject)))
}

/// Versions of the options.
#[derive(Serialize, ToSchema)]
struct Versions {
    /// The newest first, of those that the key may see.
    versions: Vec<Version>,
    /// The `before` of the next page, if there is one.
    next: Option<i64>,
}

/// Who changed what and when, the newest first.
///
/// Versions that changed nothing that the key may see are left out; a page may be shorter for it.
#[utoipa::path(
    get,
    path = "/v1/policy/versions",
    tag = "policy",
    operation_id = "list_versions",
    params(Page),
    responses((status = 200, description = "One page of versions.", body = Versions)),
    extensions(("x-problems" = json!(["store-unavailable"])))
)]
pub(super) async fn list(
    State(app): Shared,
    caller: Caller,
    page: Asked<Page>,
) -> Result<Response, Problem> {
    caller.demand(Permission::HistorySome)?;
    let Page { before, limit } = asked(page)?;
    if !(1..=MAX_VERSIONS).contains(&limit) {
        return Err(Problem::invalid(format!("limit: must be from 1 to {MAX_VERSIONS}")));
    }
    let versions = app.store.versions(before, limit + 1).await;
    let mut versions = versions.map_err(|error| unavailable(&error))?;
    let more = usize::try_from(limit).is_ok_and(|limit| versions.len() > limit);
    if more {
        versions.pop();
    }
    let next = versions.last().filter(|_| more).map(|version| version.version);
    for version in &mut versions {
        version.subjects.retain(|subject| sees(&caller, subject));
    }
    versions.retain(|version| !version.subjects.is_empty());
    Ok(Json(Versions { versions, next }).into_response())
}

/// A version's number in a path.
#[derive(Debug)]
pub(super) struct Number(i64);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(80).collect();
        text.parse().map(Self).map_err(|_| format!("`{shown}` is not the number of a version"))
    }
}

/// One version and what it changed.
#[utoipa::path(
    get,
    path = "/v1/policy/versions/{version}",
    tag = "policy",
    operation_id = "get_version",
    params(("version" = i64, Path, description = "The version's number.")),
    responses((status = 200, description = "The version.", body = Detailed<'_>)),
    extensions(("x-problems" = json!(["unknown-version", "store-unavailable"])))
)]
pub(super) async fn one(
    State(app): Shared,
    caller: Caller,
    Segment(Number(number)): Segment<Number>,
) -> Result<Response, Problem> {
    caller.demand(Permission::HistorySome)?;
    let found = app.store.versions(number.saturating_add(1), 1).await;
    let found = found.map_err(|error| unavailable(&error))?.pop();
    let found = found.filter(|found| found.version == number).map(|mut version| {
        version.subjects.retain(|subject| sees(&caller, subject));
        version
    });
    let seen = found.filter(|version| !version.subjects.is_empty());
    let version = seen.ok_or_else(|| unknown_version(number))?;
    let mut changes = app.store.changes(number).await.map_err(|error| unavailable(&error))?;
    changes.retain(|change| caller.may(Permission::History(&change.subject)));
    Ok(Json(Detailed { version, changes: show(&changes)? }).into_response())
}

/// A version with what it changed.
#[derive(Serialize, ToSchema)]
#[schema(as = DetailedVersion)]
struct Detailed<'a> {
    #[serde(flatten)]
    version: Version,
    /// One for each document that it changed and the key may see.
    changes: Vec<Shown<'a>>,
}

/// The query of [`documents`].
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    /// The version; the one in force if none is given.
    #[param(minimum = 0)]
    version: Option<i64>,
}

/// All documents that the key may see, now or as they were at a version.
#[utoipa::path(
    get,
    path = "/v1/policy/documents",
    tag = "policy",
    operation_id = "list_documents",
    params(At),
    responses((
        status = 200,
        description = "The documents.",
        body = Documents<'_>,
        headers(("ETag" = ETag, description = "The version."))
    )),
    extensions(("x-problems" = json!([
        "unknown-version", "store-unavailable", "options-unreadable"
    ])))
)]
pub(super) async fn documents(
    State(app): Shared,
    caller: Caller,
    at: Asked<At>,
) -> Result<Response, Problem> {
    caller.demand(Permission::HistorySome)?;
    let (version, mut state) = match asked(at)?.version {
        Some(version) => {
            check_exists(&app, version).await?;
            let state = app.store.state(version).await.map_err(|error| unavailable(&error))?;
            (version, state)
        }
        None => {
            let policy = app.policy.load();
            let documents = policy.documents();
            let document = documents.map(|(s, d)| (s.to_string(), Arc::clone(&d.text)));
            (policy.version, document.collect())
        }
    };
    state.retain(|(subject, _)| sees(&caller, subject));
    let raw = state.iter().map(|(subject, text)| Ok((subject.as_str(), raw(subject, text)?)));
    let documents: BTreeMap<&str, &RawValue> = raw.collect::<Result<_, Problem>>()?;
    let body = Json(Documents { version, documents });
    Ok(([(ETAG, etag(version))], body).into_response())
}

/// The documents at one version.
#[derive(Serialize, ToSchema)]
struct Documents<'a> {
    /// The version.
    version: i64,
    /// By subject, each as it was put.
    #[schema(value_type = BTreeMap<Subject, AnyDocument>)]
    documents: BTreeMap<&'a str, &'a RawValue>,
}

/// The query of [`diff`].
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    /// The version before.
    #[param(minimum = 0)]
    from: i64,
    /// The version after, be it an older one.
    #[param(minimum = 0)]
    to: i64,
}

/// What differs between two versions.
#[utoipa::path(
    get,
    path = "/v1/policy/diff",
    tag = "policy",
    operation_id = "diff_versions",
    params(Span),
    responses((status = 200, description = "The documents that differ.", body = Difference<'_>)),
    extensions(("x-problems" = json!(["unknown-version", "store-unavailable"])))
)]
pub(super) async fn diff(
    State(app): Shared,
    caller: Caller,
    span: Asked<Span>,
) -> Result<Response, Problem> {
    caller.demand(Permission::HistorySome)?;
    let Span { from, to } = asked(span)?;
    for version in [from, to] {
        check_exists(&app, version).await?;
    }
    let difference = app.store.difference(from, to).await;
    let mut changes = difference.map_err(|error| unavailable(&error))?;
    changes.retain(|change| caller.may(Permission::History(&change.subject)));
    Ok(Json(Difference { from, to, changes: show(&changes)? }).into_response())
}

/// The documents that differ between two versions.
#[derive(Serialize, ToSchema)]
struct Difference<'a> {
    /// The version before.
    from: i64,
    /// The version after.
    to: i64,
    /// One for each document that differs and the key may see.
    changes: Vec<Shown<'a>>,
}

/// Refuses a version that never was; at version 0 there were no documents.
async fn check_exists(app: &App, version: i64) -> Result<(), Problem> {
    let newest = app.store.policy_version().await.map_err(|error| unavailable(&error))?;
    if (0..=newest).contains(&version) { Ok(()) } else { Err(unknown_version(version)) }
}
