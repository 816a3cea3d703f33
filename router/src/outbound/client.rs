//! Sends one POST, and reads an answer of a bounded size.

use std::error::Error as StdError;
use std::iter::successors;
use std::sync::Arc;

use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::connector::GuardedConnector;
use super::guard::Guard;
use super::url::OutboundUrl;
use crate::error::chain;

/// Why there is no answer. Says nothing of the URL, the request or the answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// There was one, whose head or body is longer than anybody reads.
    TooLarge,
    /// No connection could be made, so nothing was sent.
    Unreached(String),
    /// The connection broke.
    Broken(String),
}

/// How many connections to one address are kept while nobody uses them.
const MOST_IDLE: usize = 256;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client with connections of its own, which takes no proxy from the environment.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    client: Client<HttpsConnector<GuardedConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that calls what `guard` lets it, and trusts whom the system trusts.
    pub(crate) fn new(guard: Guard) -> Self {
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(system_roots())
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(GuardedConnector::new(Arc::new(guard)));
        let client = Client::builder(TokioExecutor::new())
            // Without a timer, connections that nobody uses stay for ever.
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(MOST_IDLE)
            .build(connector);
        Self { client }
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
        *request.uri_mut() = url.uri().clone();
        request.headers_mut().extend([(CONTENT_TYPE, JSON), (ACCEPT, JSON)]);
        // Else it would be written anew for each call.
        request.headers_mut().insert(HOST, url.host().clone());
        let response = self.client.request(request).await.map_err(|error| Fault::of(&error))?;
        let (head, body) = response.into_parts();
        if body.size_hint().lower() > limit as u64 {
            return Err(Fault::TooLarge);
        }
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|error| Fault::of(&*error))?;
        Ok((head.status, body.to_bytes()))
    }

    /// What a request of any kind is answered, with a body of at most `limit` bytes.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<Response<Bytes>, String> {
        let response = self.client.request(request.map(Full::new)).await;
        let (head, body) = response.map_err(|error| chain(&error))?.into_parts();
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|_| "the answer broke off or is too large".to_owned())?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

impl Fault {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        match error {
            _ if is_too_large(error) => Self::TooLarge,
            _ if is_unreached(error) => Self::Unreached(chain(error)),
            _ => Self::Broken(chain(error)),
        }
    }
}

/// Whether no connection could be made, so that nothing was sent.
pub(crate) fn is_unreached(error: &(dyn StdError + 'static)) -> bool {
    successors(Some(error), |&error| error.source())
        .any(|error| error.downcast_ref().is_some_and(legacy::Error::is_connect))
}

/// Whether this is about an answer that is longer than anybody reads.
pub(crate) fn is_too_large(error: &(dyn StdError + 'static)) -> bool {
    successors(Some(error), |&error| error.source()).any(|error| {
        let is_head = error.downcast_ref().is_some_and(hyper::Error::is_parse_too_large);
        is_head || error.is::<LengthLimitError>()
    })
}

/// The certificates that the system trusts, or those of `SSL_CERT_FILE`; without any, calls of
/// `https://` URLs fail and all others work.
fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        tracing::warn!("the system trusts no certificates; install ca-certificates to call https");
    }
    roots
}
