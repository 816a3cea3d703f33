//! Passes each call on as it comes, and lets it be copied as it passes.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use serde_json::json;

use super::call::{Call, Side};
use super::hop;
use super::recorder::Desk;
use super::scope::Scope;
use super::tee::Tee;
use super::upstream::{Upstream, UpstreamClient};
use crate::caller::chain;

/// What callers get: the upstream's answer, or a problem of the proxy's own.
pub(super) type Answer = Response<Either<Tee, Full<Bytes>>>;

/// A recording reverse proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    upstream: Upstream,
    client: UpstreamClient<Tee>,
    scope: Arc<Scope>,
    desk: Desk,
}

impl Proxy {
    /// What is in the scope is handed over at the desk.
    pub(super) fn new(upstream: Upstream, scope: Arc<Scope>, desk: Desk) -> Self {
        Self { client: upstream.client(), upstream, scope, desk }
    }

    /// The upstream's answer to the request.
    pub(super) async fn pass(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        if let Some(problem) = refusal(&request) {
            return Ok(problem);
        }
        let call = self.scope.head(&request).map(|head| Arc::new(Call::new(head, &self.desk)));
        if call.is_none() {
            self.desk.metrics().skip();
        }
        let begun = std::time::Instant::now();
        match self.client.request(self.outgoing(request, call.clone())).await {
            Ok(response) => {
                self.desk.metrics().answered(begun.elapsed());
                Ok(self.incoming(response, call))
            }
            Err(error) => {
                let reason = chain(&error);
                self.desk.metrics().failed();
                if let Some(call) = &call {
                    call.fail(format!("the upstream did not answer: {reason}"));
                }
                Ok(problem(StatusCode::BAD_GATEWAY, "upstream failed", &reason))
            }
        }
    }

    fn outgoing(&self, request: Request<Incoming>, call: Option<Arc<Call>>) -> Request<Tee> {
        let (mut head, body) = request.into_parts();
        hop::strip(&mut head.headers);
        head.uri = self.upstream.uri(&head.uri);
        // The version is the connection's, not the call's.
        head.version = Version::HTTP_11;
        Request::from_parts(head, Tee::new(body, call, Side::Request))
    }

    fn incoming(&self, response: Response<Incoming>, call: Option<Arc<Call>>) -> Answer {
        let (mut head, body) = response.into_parts();
        hop::strip(&mut head.headers);
        head.version = Version::HTTP_11;
        if let Some(call) = &call {
            call.answer(self.scope.answer(&head));
        }
        Response::from_parts(head, Either::Left(Tee::new(body, call, Side::Answer)))
    }
}

/// A tunnel or another protocol can't be recorded; so it is refused, not half done.
fn refusal(request: &Request<Incoming>) -> Option<Answer> {
    let wanted = match *request.method() {
        Method::CONNECT => "CONNECT".to_owned(),
        _ => hop::wanted_upgrade(request.headers())?,
    };
    let detail = format!("a capture passes on HTTP/1 calls only; `{wanted}` must go past it");
    Some(problem(StatusCode::NOT_IMPLEMENTED, "not passed on", &detail))
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Answer {
    let body = json!({"status": status.as_u16(), "title": title, "detail": detail}).to_string();
    let mut response = Response::new(Either::Right(Full::new(body.into())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
