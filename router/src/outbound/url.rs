//! URLs that users write into the options.

use std::fmt;
use std::net::IpAddr;

use axum::http::Uri;
use serde::Deserialize;

use super::address::Place;
use super::origin::Origin;

/// The longest URL that is taken.
const MAX_BYTES: usize = 2048;

/// An `http://` or `https://` URL that holds no password and leads to no address that is never
/// called. Its text is not printed: people put secrets into queries too.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct OutboundUrl {
    url: Uri,
    origin: Origin,
}

impl OutboundUrl {
    pub(crate) fn uri(&self) -> &Uri {
        &self.url
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The address, where the URL has one in place of a name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        literal(&self.url)
    }
}

/// The address that stands in the URL.
pub(super) fn literal(url: &Uri) -> Option<IpAddr> {
    let host = url.host()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

impl TryFrom<String> for OutboundUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() > MAX_BYTES {
            return Err("a URL has 2048 bytes at most");
        }
        if text.contains('#') {
            return Err("must have no fragment (`#`), which is never sent");
        }
        let url: Uri = text.parse().map_err(|_| "must be a URL such as https://host/path")?;
        let named = url.host().is_some_and(|host| !host.is_empty());
        if !matches!(url.scheme_str(), Some("http" | "https")) || !named {
            return Err("must start with http:// or https:// and name a host");
        }
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("must not hold a user or a password: everyone with a key could read it");
        }
        if literal(&url).is_some_and(|address| Place::of(address) == Place::Never) {
            return Err("leads to an address that is never called: link-local, metadata or none");
        }
        let origin = Origin::of(&url).ok_or("must name a host")?;
        Ok(Self { url, origin })
    }
}

impl fmt::Debug for OutboundUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboundUrl({})", self.url.host().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<&'static str> {
        OutboundUrl::try_from(text.to_owned()).err()
    }

    #[test]
    fn a_url_says_how_and_where() {
        for good in ["http://model:8080/invocations", "https://[2606:4700::1]/x?a=b", "http://x"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in ["", "model:8080", "/invocations", "ftp://x/", "file:///etc/passwd", "http://"] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        assert!(fault(&format!("http://x/{}", "y".repeat(2048))).is_some());
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for bad in ["http://me:secret@x/", "http://me@x/", "http://@x/"] {
            let fault = fault(bad).unwrap();
            assert!(!fault.contains("secret"), "{fault}");
        }
        let url = OutboundUrl::try_from("http://x/?token=secret".to_owned()).unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn addresses_that_are_never_called_are_refused_at_once() {
        for bad in ["http://169.254.169.254/latest", "http://[fe80::1]/", "https://0.0.0.0:1/"] {
            assert!(fault(bad).is_some_and(|fault| fault.contains("never called")), "{bad}");
        }
    }
}
