//! Where a URL leads, whatever its path.

use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Uri};

/// Scheme, host and port: who has a connection to one may ask all that is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    scheme: Scheme,
    /// Host and port, but for the port that goes without saying.
    host: HeaderValue,
}

impl Origin {
    /// That of a URL that says how and where.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let (scheme, host) = (url.scheme()?, url.host()?);
        let is_usual = |port: &u16| match scheme.as_str() {
            "http" => *port == 80,
            "https" => *port == 443,
            _ => false,
        };
        let host = match url.port_u16().filter(|port| !is_usual(port)) {
            Some(port) => HeaderValue::try_from(format!("{host}:{port}")),
            None => HeaderValue::try_from(host),
        };
        Some(Self { scheme: scheme.clone(), host: host.ok()? })
    }

    /// What requests say in the header `host`.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_host_leaves_out_the_usual_port() {
        for (url, host) in [
            ("http://Model:8080/x", "Model:8080"),
            ("http://model:80/x", "model"),
            ("https://model:80", "model:80"),
            ("https://[2606:4700::1]:443/", "[2606:4700::1]"),
            ("https://model/", "model"),
        ] {
            assert_eq!(Origin::of(&url.parse().unwrap()).unwrap().host(), host);
        }
    }

    #[test]
    fn a_path_leads_nowhere_else_and_a_scheme_or_a_port_does() {
        let origin = |url: &'static str| Origin::of(&Uri::from_static(url));
        assert_eq!(origin("http://model/a"), origin("http://model:80/b?c"));
        assert_ne!(origin("http://model/"), origin("https://model/"));
        assert_ne!(origin("http://model/"), origin("http://model:81/"));
        assert_eq!(origin("/a"), None);
    }
}
