//! Headers that belong to one connection, and are not passed on to the next.

use hyper::HeaderMap;
use hyper::header::{CONNECTION, HeaderName, TRANSFER_ENCODING, UPGRADE};

/// Takes them out.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    let fixed = [CONNECTION, TRANSFER_ENCODING, UPGRADE];
    let other = ["keep-alive", "proxy-connection"].map(HeaderName::from_static);
    for name in named.into_iter().chain(fixed).chain(other) {
        headers.remove(name);
    }
}

/// The protocol that a request wants to change to, if it can't be answered without: an offer of
/// HTTP/2 may be passed over.
pub(super) fn wanted_upgrade(headers: &HeaderMap) -> Option<String> {
    let wanted = headers.get(UPGRADE)?.to_str().ok()?.trim();
    let is_offer = wanted.split(',').all(|it| it.trim().eq_ignore_ascii_case("h2c"));
    (!is_offer).then(|| wanted.chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_connection_is_taken_out_and_nothing_else() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Hop"),
            ("connection", "HTTP2-Settings"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("x-hop", "1"),
            ("x-end", "2"),
            ("host", "legacy"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        assert_eq!(wanted_upgrade(&headers), None);
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["host", "x-end"]);
    }

    #[test]
    fn a_web_socket_can_not_be_passed_over() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, "websocket".parse().unwrap());
        assert_eq!(wanted_upgrade(&headers).as_deref(), Some("websocket"));
    }
}
