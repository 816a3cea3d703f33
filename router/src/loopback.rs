//! Tells this machine's own names from those of others.

use std::net::IpAddr;

/// Whether `host`, as in a URL, is this machine by definition and not by what a name server says.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for own in ["127.0.0.1", "[::1]", "localhost", "LocalHost", "127.0.0.2"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["", "runtime.sagemaker.eu-west-1.amazonaws.com", "127.0.0.1.example.com"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
