//! `POST /v1/moderate`: one piece of content, or a stream of them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use opentelemetry::Context;
use tokio::time::Instant;
use uuid::Uuid;

use super::body::{MediaType, read_text};
use super::decisions::{Pending, pending};
use super::stream::moderate_lines;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::moderation::{self, Case, Content};
use crate::problem::{Kind, Problem};

/// The largest piece of content, alone or in a line.
pub(super) const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// Moderates one piece of content, or a stream of them.
///
/// The verdict is the strictest outcome of all rules of the client's options: `approve`, `review`,
/// `reject`. A model's failure is no error of this route: its rules do what `on_failure` says.
///
/// Lines (`application/x-ndjson` or `application/jsonlines`, each a `Content`) are answered by
/// lines, in order and while they come in: each a `Verdict`, or a `FailedLine` in its place. Read
/// answers while you write. Each line counts once against the key's limit, and waits for its turn.
#[utoipa::path(
    post,
    path = "/v1/moderate",
    tag = "moderation",
    params((
        "Prefer" = Option<String>,
        Header,
        description = "`respond-async`: the answer says at once where the verdict will be found; models \
                       are waited for up to five minutes. Lines are always answered."
    )),
    request_body(description = "At most 1 MiB, alone or in a line.", content(
        (Content = "application/json"),
        (String = "application/x-ndjson"),
        (String = "application/jsonlines")
    )),
    responses(
        (status = 200, description = "The verdict, or one line for each.", content(
            (moderation::Response<'_> = "application/json"),
            (String = "application/x-ndjson")
        )),
        (status = 202, description = "Where the verdict will be found.", body = Pending)
    ),
    extensions(("x-problems" = json!([
        "unknown-client", "overloaded", "stopping", "store-unavailable"
    ])))
)]
pub(super) async fn moderate(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let started = Instant::now();
    match MediaType::of(&headers)? {
        MediaType::Lines => Ok(moderate_lines(app, caller, &headers, body).await),
        MediaType::Json => {
            // Taken before the body is read, which bounds what all the bodies take.
            let _permit = app.contents.try_acquire().map_err(|_| overloaded(&app))?;
            let request = read_text(body, MAX_CONTENT_BYTES).await?;
            let content = Content::parse(&request, "body")?;
            caller.demand(Permission::Ingest(&content.client))?;
            if prefers_async(&headers) {
                return later((&app, &headers), content, request).await;
            }
            let case = Case::open(&app, content, request).await?.within(parent(&app, &headers));
            let response = case.decide(&app, started).await?;
            Ok(([(CONTENT_TYPE, "application/json")], response).into_response())
        }
    }
}

/// Has the verdict made while nobody waits, and says where it will be found.
async fn later(
    (app, headers): (&Arc<App>, &HeaderMap),
    content: Content,
    request: String,
) -> Result<Response, Problem> {
    if content.dry_run {
        let detail = "dry_run: nothing would be stored to be fetched later; ask without \
                      `Prefer: respond-async`";
        return Err(Problem::invalid(detail));
    }
    if app.stopping.is_cancelled() {
        let detail = "the router is stopping and promises no more verdicts; send it again";
        return Err(Problem::new(Kind::Stopping, detail));
    }
    let room = app.promises.admit(&request).ok_or_else(|| too_many_promises(app))?;
    let (client, decision_id) = (content.client.clone(), Uuid::now_v7());
    let case = Case::open(app, content, request).await?.within(parent(app, headers));
    let making = Arc::clone(app);
    app.awaited.promise(decision_id, client, async move {
        let is_kept = case.decide_later(&making, decision_id).await;
        drop(room);
        is_kept
    });
    let applied = [("preference-applied", "respond-async")];
    Ok((applied, pending(decision_id)).into_response())
}

fn overloaded(app: &App) -> Problem {
    app.metrics.overloaded.inc();
    let detail = "the router has as many contents in work as it takes; try again later";
    Problem::new(Kind::Overloaded, detail)
}

fn too_many_promises(app: &App) -> Problem {
    app.metrics.overloaded.inc();
    let detail = "the router owes as many verdicts as it may; try again later, or ask without \
                  `Prefer: respond-async`";
    Problem::new(Kind::Overloaded, detail)
}

/// The trace that the caller is in the middle of.
fn parent(app: &App, headers: &HeaderMap) -> Context {
    app.traces.as_ref().map(|traces| traces.parent(headers)).unwrap_or_default()
}

fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split(','));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}
