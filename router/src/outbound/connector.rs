//! Connects only to addresses that the guard lets through, whatever name they have.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::guard::Guard;
use super::url::literal;

/// Makes connections, plain or with TLS,
pub(super) type Connector = HttpsConnector<GuardedConnector>;
/// such as these.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

type Boxed = Box<dyn std::error::Error + Send + Sync>;
type Future<T> = Pin<Box<dyn std::future::Future<Output = Result<T, Boxed>> + Send>>;

/// How long a connection may take; a model's own time may be shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to what `guard` permits, and trusts whom the system trusts.
pub(super) fn connector(guard: Guard) -> Connector {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_root_certificates(system_roots())
        .with_no_client_auth();
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(GuardedConnector::new(Arc::new(guard)))
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

/// Connects, with both of its ways guarded: addresses here, names in the resolver.
#[derive(Clone, Debug)]
pub(super) struct GuardedConnector {
    guard: Arc<Guard>,
    connector: HttpConnector<GuardedResolver>,
}

impl GuardedConnector {
    fn new(guard: Arc<Guard>) -> Self {
        let resolver = GuardedResolver { guard: Arc::clone(&guard), system: GaiResolver::new() };
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { guard, connector }
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = <HttpConnector<GuardedResolver> as Service<Uri>>::Response;
    type Error = Boxed;
    type Future = Future<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        // The connector asks no resolver about these.
        if let Some(refused) = literal(&url).and_then(|address| self.guard.check(address).err()) {
            return Box::pin(async move { Err(refused.into()) });
        }
        let connecting = self.connector.call(url);
        Box::pin(async { connecting.await.map_err(Into::into) })
    }
}

/// The system's resolver without the addresses that must not be called.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver {
    guard: Arc<Guard>,
    system: GaiResolver,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Boxed;
    type Future = Future<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        Service::poll_ready(&mut self.system, context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.system.call(name);
        let guard = Arc::clone(&self.guard);
        Box::pin(async move { permitted(&guard, resolving.await?) })
    }
}

/// The addresses that may be called, or why there is none.
fn permitted(
    guard: &Guard,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<std::vec::IntoIter<SocketAddr>, Boxed> {
    let (mut permitted, mut refused) = (Vec::new(), None);
    for address in found {
        match guard.check(address.ip()) {
            Ok(()) => permitted.push(address),
            Err(reason) => refused = Some(reason),
        }
    }
    match refused {
        Some(reason) if permitted.is_empty() => Err(reason.into()),
        None if permitted.is_empty() => Err(io::Error::other("the name has no address").into()),
        _ => Ok(permitted.into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_names_addresses_only_those_permitted_are_called() {
        let guard = Guard::default();
        let found = |addresses: &[&str]| {
            let found: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            permitted(&guard, found.into_iter()).map(Iterator::collect::<Vec<_>>)
        };
        let mixed = found(&["127.0.0.1:80", "1.1.1.1:80", "[::1]:80"]).unwrap();
        assert_eq!(mixed, ["1.1.1.1:80".parse().unwrap()]);
        let fault = found(&["169.254.169.254:80"]).unwrap_err().to_string();
        assert!(fault.contains("169.254.169.254 is never called"), "{fault}");
        assert!(found(&[]).is_err());
    }
}
