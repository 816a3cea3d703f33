//! `POST /v1/moderate`: one piece of content, or a stream of them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::body::{MediaType, read_text};
use super::stream::moderate_lines;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::moderation::{self, Content};
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
        description = "`respond-async` is not supported yet and answered with 501."
    )),
    request_body(description = "At most 1 MiB, alone or in a line.", content(
        (Content = "application/json"),
        (String = "application/x-ndjson"),
        (String = "application/jsonlines")
    )),
    responses((status = 200, description = "The verdict, or one line for each.", content(
        (moderation::Response<'_> = "application/json"),
        (String = "application/x-ndjson")
    ))),
    extensions(("x-problems" = json!([
        "unknown-client", "not-supported", "overloaded", "stopping", "store-unavailable"
    ])))
)]
pub(super) async fn moderate(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    refuse_respond_async(&headers)?;
    match MediaType::of(&headers)? {
        MediaType::Lines => Ok(moderate_lines(app, caller, &headers, body).await),
        MediaType::Json => {
            // Taken before the body is read, which bounds what all the bodies take.
            let _permit = app.contents.try_acquire().map_err(|_| overloaded())?;
            let request = read_text(body, MAX_CONTENT_BYTES).await?;
            let content = Content::parse(&request, "body")?;
            caller.demand(Permission::Ingest(&content.client))?;
            let response = moderation::moderate(&app, &content, request).await?;
            Ok(([(CONTENT_TYPE, "application/json")], response).into_response())
        }
    }
}

fn overloaded() -> Problem {
    let detail = "the router has as many contents in work as it takes; try again later";
    Problem::new(Kind::Overloaded, detail)
}

/// Callers who ask for a verdict by webhook must not wait for one that never comes.
fn refuse_respond_async(headers: &HeaderMap) -> Result<(), Problem> {
    let prefers_async = headers
        .get_all("prefer")
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("respond-async")));
    if prefers_async {
        let detail = "`Prefer: respond-async` is not supported yet; leave the header out";
        return Err(Problem::new(Kind::NotSupported, detail));
    }
    Ok(())
}
