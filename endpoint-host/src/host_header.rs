//! Refuses requests that a browser was tricked into: a page's own host name, rebound to loopback.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use hyper::header::HOST;
use hyper::http::request::Parts;

use crate::api_error::ApiError;

/// Without signatures, whoever reaches the host may use it; only this machine's names are served.
pub(crate) fn only_loopback(head: &Parts) -> Result<(), ApiError> {
    let header = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let header = header.and_then(|host| host.parse::<Authority>().ok());
    let host = head.uri.host().or(header.as_ref().map(Authority::host)).unwrap_or_default();
    if is_loopback(host) { Ok(()) } else { Err(ApiError::foreign_host()) }
}

/// The same as a layer.
pub(crate) async fn check(request: Request) -> Result<Request, ApiError> {
    let (head, body) = request.into_parts();
    only_loopback(&head)?;
    Ok(Request::from_parts(head, body))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    #[test]
    fn only_requests_to_this_machine_pass() {
        let passes = |host: &str| {
            let request = Request::post("/").header(HOST, host).body(()).unwrap();
            only_loopback(&request.into_parts().0).is_ok()
        };
        for own in ["127.0.0.1:8090", "localhost:1", "[::1]:8090", "LOCALHOST"] {
            assert!(passes(own), "{own}");
        }
        for other in ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "10.0.0.1"] {
            assert!(!passes(other), "{other}");
        }
    }
}
