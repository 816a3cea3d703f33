//! Sends requests over connections of its own, and reads answers of a bounded size.

use std::sync::Arc;

use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::uri::PathAndQuery;
use axum::http::{self, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use bytes::Bytes;
use http1_connection::{Connection, Head, Request, Unanswered};
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::connector::{Connector, Stream, connector};
use super::fault::Fault;
use super::guard::Guard;
use super::origin::Origin;
use super::pool::Pool;
use super::url::OutboundUrl;
use crate::error::chain;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A connection, which is driven by the task whose call is on it. Boxed, as it is large, and goes from
/// the pool to a call and back.
pub(super) type Wire = Box<Connection<TokioIo<Stream>>>;

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
        let place = (url.origin(), url.uri());
        let headers = [(&CONTENT_TYPE, &JSON), (&ACCEPT, &JSON)];
        let request = written(Method::POST, place, headers, body);
        self.exchange(place, &request, limit, |head| head.status).await
    }

    /// What a request of any kind is answered, with a body of at most `limit` bytes.
    pub(crate) async fn send(
        &self,
        request: http::Request<Bytes>,
        limit: usize,
    ) -> Result<Response<Bytes>, Fault> {
        let (asked, body) = request.into_parts();
        let origin = Origin::of(&asked.uri);
        let origin = origin.ok_or_else(|| Fault::Unreached("the URL names no host".to_owned()))?;
        let place = (&origin, &asked.uri);
        let headers = asked.headers.iter().filter(|(name, _)| *name != HOST);
        let request = written(asked.method, place, headers, body);
        let (head, body) = self.exchange(place, &request, limit, response).await?;
        Ok(head.map(|()| body))
    }

    /// Over a connection that is kept, else over a new one. One that turns out to be closed before
    /// anything was sent is no fault; a call that is dropped closes its own.
    async fn exchange<T>(
        &self,
        (origin, url): (&Origin, &Uri),
        request: &Request,
        limit: usize,
        read: impl Fn(&Head<'_>) -> T,
    ) -> Result<(T, Bytes), Fault> {
        loop {
            let kept = self.pool.take(origin);
            let is_new = kept.is_none();
            let mut wire = match kept {
                Some(wire) => wire,
                // Boxed as well, so that the many calls that need none are not larger for it.
                None => Box::pin(self.connect(url)).await?,
            };
            match wire.exchange(request, limit, &read).await {
                Ok(answer) => {
                    self.pool.keep(origin, wire);
                    return Ok(answer);
                }
                Err(Unanswered { was_sent: false, .. }) if !is_new => {}
                Err(unanswered) => return Err(unanswered.error.into()),
            }
        }
    }

    /// Connects to where the URL leads.
    async fn connect(&self, url: &Uri) -> Result<Wire, Fault> {
        let stream = self.connector.clone().call(url.clone()).await;
        let stream = stream.map_err(|error| Fault::Unreached(chain(&*error)))?;
        Ok(Box::new(Connection::new(TokioIo::new(stream))))
    }
}

fn written<'a>(
    method: Method,
    (origin, url): (&'a Origin, &Uri),
    headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
    body: Bytes,
) -> Request {
    let root = PathAndQuery::from_static("/");
    let headers = [(&HOST, origin.host())].into_iter().chain(headers);
    Request::new(method, url.path_and_query().unwrap_or(&root), headers, body)
}

fn response(head: &Head<'_>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = head.status;
    for (name, value) in head.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
