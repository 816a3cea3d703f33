//! Moderates lines as they come in, several at once, and answers them in their order.
//!
//! Callers must read answers while they write lines: what is not read holds up the lines behind it,
//! and after a minute ends the connection. A body in which nothing comes for half a minute ends
//! with a line that says so. A router that is to stop answers the lines in work and no more.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;

use super::body::utf8;
use super::lines::{Line, lines};
use super::moderate::MAX_CONTENT_BYTES;
use crate::app::App;
use crate::moderation::{self, Content, ContentId};
use crate::problem::Problem;

/// How many lines of one request are in work at once; a slow reader of the answer holds them up.
const LINES_IN_WORK: usize = 32;

/// The answers to the lines of `body`, as a stream.
pub(super) async fn moderate_lines(app: Arc<App>, headers: &HeaderMap, body: Body) -> Response {
    let mut body = Box::pin(body.into_data_stream().peekable());
    if headers.contains_key(EXPECT) {
        // A caller that waits to be asked for its body is asked only before the answer begins.
        body.as_mut().peek().await;
    }
    let stopping = app.stopping.clone().cancelled_owned();
    let answers = lines(body, MAX_CONTENT_BYTES)
        .take_until(stopping)
        .then(move |line| admit(Arc::clone(&app), line))
        // In tasks of their own, lines go on even while nobody reads the answer.
        .map(|answer| AbortOnDropHandle::new(tokio::spawn(answer)))
        .buffered(LINES_IN_WORK);
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(answers)).into_response()
}

/// Waits until one more content may be in work; the rest of the body waits behind.
async fn admit(app: Arc<App>, line: Line) -> impl Future<Output = Bytes> {
    let permit = Arc::clone(&app.contents).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    async move {
        let answer = answer(&app, line).await;
        drop(permit);
        answer
    }
}

async fn answer(app: &App, line: Line) -> Bytes {
    let number = line.number;
    let mut answer = match moderate(app, line.text).await {
        Ok(answer) => answer,
        Err((content_id, error)) => {
            let content_id = content_id.as_ref().map(ContentId::as_str);
            let failure = FailedLine { line: number, content_id, error };
            serde_json::to_string(&failure).expect("strings and numbers are always JSON")
        }
    };
    answer.push('\n');
    answer.into()
}

/// The verdict on one line, or what was wrong with it and whose verdict is missing.
async fn moderate(
    app: &App,
    line: Result<Bytes, Problem>,
) -> Result<String, (Option<ContentId>, Problem)> {
    let text = line.and_then(|line| utf8(line, "line")).map_err(|problem| (None, problem))?;
    let content =
        Content::parse(&text, "line").map_err(|problem| (ContentId::salvage(&text), problem))?;
    let verdict = moderation::moderate(app, &content, text).await;
    verdict.map_err(|problem| (Some(content.content_id), problem))
}

#[derive(Serialize)]
struct FailedLine<'a> {
    line: u64,
    content_id: Option<&'a str>,
    error: Problem,
}
