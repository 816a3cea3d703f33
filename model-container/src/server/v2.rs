//! The Open Inference Protocol on HTTP: which path answers what, and errors in its own form.

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::app::App;
use super::response::{self, Response};
use crate::problem::Problem;
use crate::telemetry;
use crate::v2::{self, Answer, ModelMetadata, Question, Route, ServerMetadata};

/// Where the JSON of a body ends and its binary tensors begin.
const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct Ready<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    ready: bool,
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

/// The path as metrics know it, if it belongs to this protocol.
pub(super) fn known(path: &str) -> Option<&'static str> {
    let below = path.strip_prefix("/v2")?;
    match below {
        _ if below.starts_with("/models/") && below.ends_with("/infer") => Some("/v2/infer"),
        "" => Some("/v2"),
        _ => below.starts_with('/').then_some("/v2"),
    }
}

/// Answers a request to a path that is [`known`].
pub(super) async fn respond(
    app: &App,
    request: Request<Incoming>,
    started: Instant,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    let route = Route::parse(path).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at `{path}`"))
    })?;
    if request.method().as_str() != route.method() {
        return Ok(method_not_allowed(route.method()));
    }
    match route {
        Route::Server => Ok(json(&ServerMetadata::OURS)),
        Route::Live => Ok(json(&Live { live: true })),
        Route::Ready => app.ready().map(|_| json(&Ready { name: None, ready: true })),
        Route::Model(target, Question::Infer) => {
            let (head, body) = request.into_parts();
            let deadline = started + app.limits.deadline;
            let body = app.bodies.read(body, started, deadline);
            let body = telemetry::during("read body", body).await?;
            let scorer = app.loaded()?;
            target.check(&scorer.identity)?;
            refuse_encoding(&head.headers)?;
            let answer =
                v2::infer(scorer, &body.bytes, json_bytes(&head.headers)?, deadline).await?;
            Ok(answered(answer))
        }
        Route::Model(target, question) => {
            let scorer = app.ready()?;
            target.check(&scorer.identity)?;
            let name = Some(scorer.identity.name.as_str());
            Ok(match question {
                Question::Ready => json(&Ready { name, ready: true }),
                _ => json(&ModelMetadata::new(scorer)),
            })
        }
    }
}

/// A problem in the protocol's form, which calls everything that is wrong with a request 400.
pub(super) fn error(problem: &Problem) -> Response {
    let mut response = json(&Error { error: problem.detail() });
    let status = match problem.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    *response.status_mut() = status;
    response::retry_later(&mut response);
    response
}

fn method_not_allowed(allowed: &'static str) -> Response {
    let detail = format!("only {allowed} is allowed here");
    let mut response = error(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("an answer is always JSON");
    response::with_type(StatusCode::OK, "application/json", body)
}

fn answered(Answer { body, json_bytes }: Answer) -> Response {
    let Some(json_bytes) = json_bytes else {
        return response::with_type(StatusCode::OK, "application/json", body);
    };
    let mut response = response::with_type(StatusCode::OK, "application/octet-stream", body);
    response.headers_mut().insert(JSON_BYTES, json_bytes.into());
    response
}

fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    let parse = |value: &HeaderValue| value.to_str().ok()?.trim().parse().ok();
    headers
        .get(JSON_BYTES)
        .map(|value| {
            parse(value).ok_or_else(|| {
                let detail = "`Inference-Header-Content-Length` must be a number of bytes";
                Problem::new(StatusCode::BAD_REQUEST, detail)
            })
        })
        .transpose()
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let detail = "compressed bodies are not read; send it without `Content-Encoding`";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_that_passes_says_when_to_try_again() {
        let response = error(&Problem::new(StatusCode::SERVICE_UNAVAILABLE, "full"));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        let response = error(&Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "empty"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(!response.headers().contains_key("retry-after"));
    }

    #[test]
    fn metrics_know_two_paths() {
        assert_eq!(known("/v2"), Some("/v2"));
        assert_eq!(known("/v2/models/a/versions/1/infer"), Some("/v2/infer"));
        assert_eq!(known("/v2/infer"), Some("/v2"));
        assert_eq!(known("/v20"), None);
        assert_eq!(known("/ping"), None);
    }
}
