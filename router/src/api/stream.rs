//! Moderates lines as they come in, several at once, and answers them in their order.
//!
//! Callers must read answers while they write lines: what is not read holds up the lines behind it,
//! and after a minute ends the connection. A body in which nothing comes for half a minute ends
//! with a line that says so. A router that is to stop answers the lines in work and no more. Lines
//! wait for their turn where their key has a limit, and are refused one by one once it is revoked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use utoipa::ToSchema;

use super::body::utf8;
use super::lines::{Line, lines};
use super::moderate::MAX_CONTENT_BYTES;
use crate::access::limit::Limit;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::moderation::{Case, Content, ContentId};
use crate::problem::{Kind, Problem};

/// How many lines of one request are in work at once; a slow reader of the answer holds them up.
const LINES_IN_WORK: usize = 32;
/// How often a line that waits for its turn looks whether its key still counts.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The answers to the lines of `body`, as a stream.
pub(super) async fn moderate_lines(
    app: Arc<App>,
    caller: Caller,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let mut body = Box::pin(body.into_data_stream().peekable());
    if headers.contains_key(EXPECT) {
        // A caller that waits to be asked for its body is asked only before the answer begins.
        body.as_mut().peek().await;
    }
    let stopping = app.stopping.clone().cancelled_owned();
    let answers = lines(body, MAX_CONTENT_BYTES)
        .take_until(stopping)
        .then(move |line| admit(Arc::clone(&app), caller.clone(), line))
        // In tasks of their own, lines go on even while nobody reads the answer.
        .map(|answer| AbortOnDropHandle::new(tokio::spawn(answer)))
        .buffered(LINES_IN_WORK);
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(answers)).into_response()
}

/// Waits until one more content may be in work, and until it is the caller's turn; the rest of the
/// body waits behind.
async fn admit(app: Arc<App>, caller: Caller, line: Line) -> impl Future<Output = Bytes> {
    let turn = take_turn(&app, &caller).await;
    let permit = Arc::clone(&app.contents).acquire_owned().await;
    let permit = permit.expect("the semaphore is never closed");
    async move {
        let answer = answer(&app, &caller, turn, line).await;
        drop(permit);
        answer
    }
}

/// Waits as long as the key's limit demands, and no longer than the key is taken.
async fn take_turn(app: &App, caller: &Caller) -> Result<(), Problem> {
    loop {
        let caller = renew(app, caller)?;
        let Some(Err(wait)) = caller.limit().map(Limit::take) else { return Ok(()) };
        tokio::select! {
            () = sleep(wait.min(LOOK_AGAIN)) => {}
            () = app.stopping.cancelled() => {
                let detail = "the router is stopping before this line's turn; send it again";
                return Err(Problem::new(Kind::Stopping, detail));
            }
        }
    }
}

/// The same caller as he is by now, if he is still let in.
fn renew(app: &App, caller: &Caller) -> Result<Caller, Problem> {
    app.keys.renew(caller).inspect_err(|_| {
        app.metrics.unauthorized.inc();
    })
}

async fn answer(app: &Arc<App>, caller: &Caller, turn: Result<(), Problem>, line: Line) -> Bytes {
    let number = line.number;
    let mut answer = match moderate(app, caller, turn, line.text).await {
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
    app: &Arc<App>,
    caller: &Caller,
    turn: Result<(), Problem>,
    line: Result<Bytes, Problem>,
) -> Result<String, (Option<ContentId>, Problem)> {
    let started = Instant::now();
    let text = line.and_then(|line| utf8(line, "line")).map_err(|problem| (None, problem))?;
    let content = turn
        // It may have ended while the line waited.
        .and_then(|()| renew(app, caller))
        .and_then(|_| Content::parse(&text, "line"))
        .map_err(|problem| (ContentId::salvage(&text), problem))?;
    let content_id = content.content_id.clone();
    let verdict = async {
        caller.demand(Permission::Ingest(&content.client))?;
        Case::open(app, content, text).await?.decide(app, started).await
    };
    verdict.await.map_err(|problem| (Some(content_id), problem))
}

/// What stands in place of a verdict on a line that has none.
#[derive(Serialize, ToSchema)]
pub(super) struct FailedLine<'a> {
    /// The line's number, counted from 1.
    line: u64,
    /// The line's `content_id`, if it can be read.
    content_id: Option<&'a str>,
    /// What was wrong.
    error: Problem,
}
