//! Refuses requests that a browser was tricked into: a page's own host name, rebound to loopback.

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;

use crate::loopback::is_loopback;
use crate::problem::{Kind, Problem};

/// Without keys, whoever reaches the router may change it; only this machine's names are served.
pub(super) fn only_loopback(request: &Request) -> Result<(), Problem> {
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let header = header.and_then(|host| host.parse::<Authority>().ok());
    let host = request.uri().host().or(header.as_ref().map(Authority::host)).unwrap_or_default();
    if is_loopback(host) {
        return Ok(());
    }
    let detail = "address the router as localhost, 127.0.0.1 or [::1]; no key was ever made, so \
                  it serves this machine alone";
    Err(Problem::new(Kind::ForeignHost, detail))
}
