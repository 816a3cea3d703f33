//! Sends requests over connections of its own, and reads answers of a bounded size.

use std::sync::Arc;

use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::Full;

use super::connector::{Connector, connector};
use super::fault::Fault;
use super::guard::Guard;
use super::origin::Origin;
use super::pool::Pool;
use super::url::OutboundUrl;
use super::wire::{Unanswered, Wire};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client with connections of its own, which takes no proxy from the environment.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    connector: Connector,
    pool: Arc<Pool>,
}

impl HttpClient {
    /// A client that calls what `guard` lets it, and trusts whom the system trusts.
    pub(crate) fn new(guard: Guard) -> Self {
        Self { connector: connector(guard), pool: Arc::default() }
    }

    /// The status of the answer, and its body of at most `limit` bytes; of a longer one no more than
    /// that is read, and nothing where its length is told beforehand.
    pub(crate) async fn post_json(
        &self,
        url: &OutboundUrl,
        body: Bytes,
        limit: usize,
    ) -> Result<(StatusCode, Bytes), Fault> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.headers_mut().extend([(CONTENT_TYPE, JSON), (ACCEPT, JSON)]);
        let place = (url.origin(), url.uri());
        let (head, body) = self.exchange(place, request, limit).await?.into_parts();
        Ok((head.status, body))
    }

    /// What a request of any kind is answered, with a body of at most `limit` bytes.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<Response<Bytes>, Fault> {
        let url = request.uri().clone();
        let origin = Origin::of(&url);
        let origin = origin.ok_or_else(|| Fault::Unreached("the URL names no host".to_owned()))?;
        self.exchange((&origin, &url), request.map(Full::new), limit).await
    }

    /// Over a connection that is kept, else over a new one. One that turns out to be closed before
    /// anything was sent is no fault; a call that is dropped closes its own.
    async fn exchange(
        &self,
        (origin, url): (&Origin, &Uri),
        mut request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response<Bytes>, Fault> {
        request.headers_mut().insert(HOST, origin.host().clone());
        *request.uri_mut() = url.path_and_query().cloned().map(Uri::from).unwrap_or_default();
        loop {
            let kept = self.pool.take(origin);
            let is_new = kept.is_none();
            let mut wire = match kept {
                Some(wire) => wire,
                // Boxed, so that the many calls that need none are not larger for it.
                None => Box::pin(Wire::connect(self.connector.clone(), url.clone())).await?,
            };
            match wire.exchange(request, limit).await {
                Ok(response) => {
                    self.pool.keep(origin, wire);
                    return Ok(response);
                }
                Err(Unanswered { unsent: Some(unsent), .. }) if !is_new => request = *unsent,
                Err(unanswered) => return Err(unanswered.fault),
            }
        }
    }
}

#[cfg(test)]
mod tests;
