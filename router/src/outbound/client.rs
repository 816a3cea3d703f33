//! Sends one POST, and reads an answer of a bounded size.

use std::sync::Arc;

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::connector::GuardedConnector;
use super::guard::Guard;
use crate::error::chain;

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
        Self { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// The status of the answer, and its body of at most `limit` bytes.
    ///
    /// The error says what happened without quoting the URL, the request or the answer.
    pub(crate) async fn post_json(
        &self,
        url: &Uri,
        body: Bytes,
        limit: usize,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::post(url.clone()).body(Full::new(body));
        if let Ok(request) = &mut request {
            let json = || axum::http::HeaderValue::from_static("application/json");
            request.headers_mut().extend([(CONTENT_TYPE, json()), (ACCEPT, json())]);
        }
        let request = request.map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| chain(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|_| "the answer broke off or is too large".to_owned())?;
        Ok((head.status, body.to_bytes()))
    }
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
