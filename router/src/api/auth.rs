//! Lets callers in: whoever is on this machine as long as no key was ever made, then keys alone.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::body::MediaType;
use super::host::only_loopback;
use crate::access::Caller;
use crate::access::limit::Limit;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// Puts the request's [`Caller`] where handlers find it, and counts the request.
pub(super) async fn admit(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !app.keys.is_demanded() {
        only_loopback(&request)?;
        request.extensions_mut().insert(Caller::Anonymous);
        return Ok(next.run(request).await);
    }
    if is_open(request.uri().path()) {
        return Ok(next.run(request).await);
    }
    let caller = app.keys.authenticate(request.headers()).inspect_err(|_| {
        app.metrics.unauthorized.inc();
    })?;
    request.extensions_mut().insert(caller.clone());
    Ok(match caller.limit() {
        None => next.run(request).await,
        Some(limit) => count(&app, limit, request, next).await,
    })
}

/// What says nothing about anybody, and must be seen without a key.
fn is_open(path: &str) -> bool {
    let pages = ["/livez", "/readyz", "/openapi.json", "/docs"];
    pages.contains(&path) || path.starts_with("/docs/")
}

/// Answers the request if the key's limit allows one more, and says how the limit stands.
async fn count(app: &App, limit: &Limit, request: Request, next: Next) -> Response {
    // Lines are counted one by one, where they are read.
    let taken = if has_lines(&request) { Ok(()) } else { limit.take() };
    let mut response = match taken {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            app.metrics.rate_limited.inc();
            exceeded(limit, wait)
        }
    };
    tell(limit, response.headers_mut());
    response
}

fn has_lines(request: &Request) -> bool {
    let is_lines = matches!(MediaType::of(request.headers()), Ok(MediaType::Lines));
    is_lines && request.uri().path() == "/v1/moderate"
}

fn exceeded(limit: &Limit, wait: Duration) -> Response {
    let quota = limit.standing().quota;
    let seconds = (wait.as_secs_f64().ceil() as u64).max(1);
    let detail = format!(
        "this key may be used {quota} times a minute; try again in {seconds} s, or send contents \
         as lines (application/x-ndjson), which wait for their turn"
    );
    let mut response = Problem::new(Kind::RateLimited, detail).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

/// The headers of draft-ietf-httpapi-ratelimit-headers-11.
fn tell(limit: &Limit, headers: &mut HeaderMap) {
    let standing = limit.standing();
    let policy = format!("\"key\";q={};w=60", standing.quota);
    let now = format!("\"key\";r={};t={}", standing.remaining, standing.full_in);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", now)] {
        let value = HeaderValue::try_from(value).expect("digits and letters make a header");
        headers.insert(name, value);
    }
}
