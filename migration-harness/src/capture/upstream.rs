//! The system that calls are passed on to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::body::Body;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take; whoever is down for longer is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept while nobody uses it: less than servers keep theirs, so that no
/// request is sent on one that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How many connections are kept so.
const MOST_IDLE: usize = 1024;

/// The client for an upstream.
pub(super) type UpstreamClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// Where calls are passed on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    scheme: Scheme,
    authority: Authority,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.filter(|it| *it == Scheme::HTTP || *it == Scheme::HTTPS);
        let (Some(scheme), Some(authority)) = (scheme, parts.authority) else {
            return Err(format!("`{text}` must be http://HOST:PORT or https://HOST:PORT"));
        };
        if authority.as_str().contains('@') {
            return Err("the URL holds a password; callers send theirs themselves".to_owned());
        }
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err(format!(
                "`{text}` must have no path: those of the requests stay as they are"
            ));
        }
        Ok(Self { scheme, authority })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl Upstream {
    /// The same path and query there.
    pub(super) fn uri(&self, asked: &Uri) -> Uri {
        let mut parts = hyper::http::uri::Parts::default();
        let root = || PathAndQuery::from_static("/");
        parts.path_and_query = Some(asked.path_and_query().cloned().unwrap_or_else(root));
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        Uri::from_parts(parts).expect("a scheme, an authority and a path are a URL")
    }

    /// A client that keeps connections, takes no proxy from the environment, and leaves headers as
    /// they are.
    pub(super) fn client<B>(&self) -> UpstreamClient<B>
    where
        B: Body + Send,
        B::Data: Send,
    {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MOST_IDLE)
            .http1_preserve_header_case(true)
            .build(connector)
    }

    /// Trusts whom the system trusts, where that matters.
    fn tls(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        if self.scheme == Scheme::HTTPS {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_stay_as_they_are() {
        let upstream: Upstream = "http://legacy:8080".parse().unwrap();
        for (asked, expected) in [
            ("/a%20b/?x=1&y", "http://legacy:8080/a%20b/?x=1&y"),
            ("http://other/a", "http://legacy:8080/a"),
        ] {
            assert_eq!(upstream.uri(&asked.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn an_upstream_is_a_host_and_nothing_more() {
        for bad in ["legacy:8080", "ftp://legacy", "http://legacy/api", "http://a:b@legacy", ""] {
            assert!(bad.parse::<Upstream>().is_err(), "{bad}");
        }
    }
}
