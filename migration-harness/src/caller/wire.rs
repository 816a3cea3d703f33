//! One connection, which is looked after by the task that calls on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http1_connection::{Connection, Head, Request, Unanswered};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{MAX_ANSWER_BYTES, chain};
use crate::record::{Answer, Reply};
use crate::target::Origin;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Servers close connections that are idle for some seconds, often two or five. A request that
/// crosses such a close on its way would look like a fault of the target.
const MOST_IDLE: Duration = Duration::from_millis(1500);

/// Makes connections, plain or with TLS.
pub(super) type Connector = HttpsConnector<HttpConnector>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// An open connection.
#[derive(Debug)]
pub(super) struct Wire {
    connection: Connection<TokioIo<Stream>>,
    used: Instant,
}

/// A connector that trusts whom the system trusts. Reading whom takes a while, so it is done only
/// where TLS is used.
pub(super) fn connector(with_tls: bool) -> Connector {
    let roots = if with_tls { system_roots() } else { RootCertStore::empty() };
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    builder.enable_http1().wrap_connector(http)
}

/// The certificates that the system trusts, or those of `SSL_CERT_FILE`.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn connect(connector: &Connector, origin: &Origin) -> Result<Self, String> {
        let stream = connector.clone().call(origin.uri.clone()).await;
        let stream = stream.map_err(|error| chain(error.as_ref()))?;
        Ok(Self { connection: Connection::new(TokioIo::new(stream)), used: Instant::now() })
    }

    /// Whether another request is worth a try.
    pub(super) fn is_fresh(&self) -> bool {
        self.connection.is_idle() && self.used.elapsed() <= MOST_IDLE
    }

    /// Sends a request and reads its whole answer, with those headers that the captured one has.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        captured: &Reply,
    ) -> Result<Answer, Unanswered> {
        let read = |head: &Head<'_>| {
            let content_type = head.header(CONTENT_TYPE.as_str()).map(text);
            (head.status.as_u16(), content_type, captured_headers(head, captured))
        };
        let done = self.connection.exchange(request, MAX_ANSWER_BYTES, read).await;
        self.used = Instant::now();
        let ((status, content_type, headers), body) = done?;
        Ok(Answer { status, content_type, headers, body })
    }
}

/// Others can't be compared with anything.
fn captured_headers(head: &Head<'_>, captured: &Reply) -> BTreeMap<String, String> {
    let names = captured.answer.iter().flat_map(|answer| answer.headers.keys().map(String::as_str));
    // Without this one, nobody could tell what the bytes of a body are.
    let names = names.chain([CONTENT_ENCODING.as_str()]);
    names.filter_map(|name| Some((name.to_owned(), text(head.header(name)?)))).collect()
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
