//! One HTTP call with JSON both ways, and how a refusal reads.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
pub use hyper::{Method, StatusCode};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::Error;

/// An endpoint may need a while for its first answer; AWS gives up after a minute too.
const TIMEOUT: Duration = Duration::from_secs(70);
/// Most answers of these APIs are far smaller.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// A keep-alive client.
#[derive(Debug)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    max_answer_bytes: usize,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The entity tag, where there is one.
    pub etag: Option<String>,
    /// The body, as a string where it is no JSON.
    pub body: Value,
}

/// What to send.
#[derive(Debug)]
pub struct Call<'a> {
    /// The HTTP method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers by name and value.
    pub headers: &'a [(&'static str, &'a str)],
    /// The body, where there is one.
    pub body: Option<&'a Value>,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// A client for `http://` URLs, without connections yet.
    pub fn new() -> Self {
        Self::trusting(RootCertStore::empty())
    }

    /// A client for one server; for an `https://` URL with the certificates that the system trusts.
    ///
    /// # Errors
    /// When the URL is of another kind, or the system has no certificates.
    pub fn to(url: &str) -> Result<Self, String> {
        let url: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
        match url.scheme_str() {
            Some("http") => Ok(Self::new()),
            Some("https") => system_roots().map(Self::trusting),
            _ => Err(format!("`{url}` must begin with http:// or https://")),
        }
    }

    fn trusting(roots: RootCertStore) -> Self {
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(connector.build());
        Self { client, max_answer_bytes: MAX_ANSWER_BYTES }
    }

    /// The same, taking answers of up to this size instead of 8 MiB.
    #[must_use]
    pub fn taking(self, max_answer_bytes: usize) -> Self {
        Self { max_answer_bytes, ..self }
    }

    /// Sends a call; any status is an answer.
    ///
    /// # Errors
    /// When the server can't be reached, or does not answer in full within a minute.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Error> {
        let url = call.url.clone();
        let unreachable = |reason: String| Error::Unreachable { url: url.clone(), reason };
        match tokio::time::timeout(TIMEOUT, self.exchange(call)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(unreachable(reason)),
            Err(_) => Err(unreachable(format!("no answer within {TIMEOUT:?}"))),
        }
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Answer, String> {
        let mut request = Request::builder().method(call.method).uri(call.url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let body = call.body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| in_full(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.max_answer_bytes).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let etag = head.headers.get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok(Answer { status: head.status, etag, body })
    }
}

/// The certificates that the system trusts, or those of `SSL_CERT_FILE`.
fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    match (taken, found.errors.first()) {
        (0, Some(error)) => Err(format!("no certificates to trust: {error}")),
        (0, None) => Err("the system trusts no certificates; install ca-certificates".to_owned()),
        _ => Ok(roots),
    }
}

impl Answer {
    /// The body of a success; anything else is a refusal of `action`.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's own words.
    pub fn success(self, action: &str) -> Result<Value, Error> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        Err(Error::Refused {
            action: action.to_owned(),
            code: format!("status {}", self.status.as_u16()),
            reason: self.reason(),
        })
    }

    /// The sentence in an error of SageMaker's, a problem document, or anything else.
    pub fn reason(&self) -> String {
        let sentence = ["detail", "Message", "message"]
            .into_iter()
            .find_map(|key| self.body.get(key).and_then(Value::as_str));
        sentence.map_or_else(|| self.body.to_string(), str::to_owned)
    }
}

/// An error with its causes: hyper's own text alone is "client error (Connect)".
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_behind_https_is_spoken_to_in_tls() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", server.local_addr().unwrap());
        let first = std::thread::spawn(move || {
            let mut first = [0];
            server.accept().unwrap().0.read_exact(&mut first).unwrap();
            first[0]
        });
        let call = Call { method: Method::GET, url, headers: &[], body: None };
        assert!(Http::new().send(call).await.is_err());
        // A handshake's record.
        assert_eq!(first.join().unwrap(), 0x16);
    }

    #[test]
    fn a_url_that_no_client_is_for_is_refused() {
        for url in ["router:8080", "ftp://router", "127.0.0.1:8080", ""] {
            assert!(Http::to(url).is_err(), "{url}");
        }
        assert!(Http::to("http://router:8080/").is_ok());
    }
}
