//! The forms that an answer takes on the wire.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use crate::invocation::Answer;
use crate::problem::Problem;

pub(super) type Response = hyper::Response<Full<Bytes>>;

/// 200 without a body.
pub(super) fn empty() -> Response {
    Response::new(Full::default())
}

/// A body with its type.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What a model answered.
pub(super) fn answer(answer: Answer) -> Response {
    let mut response = Response::new(Full::new(answer.body));
    response.headers_mut().insert(CONTENT_TYPE, answer.content_type);
    response
}

/// A problem document; one that passes by itself says when to try again.
pub(super) fn problem(problem: &Problem) -> Response {
    let body = serde_json::to_vec(problem).expect("a problem is always JSON");
    let mut response = with_type(problem.status(), "application/problem+json", body);
    retry_later(&mut response);
    response
}

/// Says when to try again where it may help.
pub(super) fn retry_later(response: &mut Response) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

/// 405, with the method that would be right.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response {
    let detail = format!("only {allowed} is allowed here");
    let mut response = problem(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
