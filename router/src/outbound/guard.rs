//! Which addresses may be called: public ones, and the private ones that the operator allows.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::address::{Place, plain};
use super::url::OutboundUrl;
use crate::problem::Problem;

/// What `--allow-net` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    allowed: Vec<IpNet>,
}

/// An address that is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Refused {
    address: IpAddr,
    place: Place,
}

impl Guard {
    pub(crate) fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.to_vec() }
    }

    /// For calls that the operator has asked for, who may mean a private address.
    pub(crate) fn permissive() -> Self {
        // The default networks are those that hold every address.
        Self { allowed: vec![Ipv4Net::default().into(), Ipv6Net::default().into()] }
    }

    /// Refuses addresses that must not be called.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let place = Place::of(address);
        let meant = plain(address);
        let is_allowed = || self.allowed.iter().any(|net| net.contains(&meant));
        match place {
            Place::Public => Ok(()),
            Place::Private if is_allowed() => Ok(()),
            Place::Private | Place::Never => Err(Refused { address, place }),
        }
    }

    /// Refuses URLs with an address that must not be called; names are looked at when they are.
    pub(crate) fn check_url(&self, field: &str, url: &OutboundUrl) -> Result<(), Problem> {
        let Some(address) = url.address() else { return Ok(()) };
        self.check(address).map_err(|refused| Problem::invalid(format!("{field}: {refused}")))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, place } = self;
        match place {
            Place::Never => write!(f, "the address {address} is never called"),
            _ => write!(
                f,
                "the private address {address} is not called, unless the router is started with \
                 an --allow-net that holds it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(nets: &[&str], address: &str) -> bool {
        let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().unwrap()).collect();
        Guard::new(&nets).check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn private_addresses_are_called_only_where_allowed() {
        assert!(!allows(&[], "127.0.0.1"));
        assert!(allows(&["127.0.0.0/8"], "127.0.0.1"));
        assert!(allows(&["127.0.0.0/8"], "::ffff:127.0.0.1"));
        assert!(!allows(&["127.0.0.0/8"], "::1"));
        assert!(!allows(&["10.0.0.0/8"], "192.168.0.1"));
        assert!(allows(&["10.0.0.0/8", "192.168.0.0/16"], "192.168.0.1"));
        assert!(allows(&[], "1.1.1.1"));
    }

    #[test]
    fn no_permission_opens_what_is_never_called() {
        for address in ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "fd00:ec2::254"] {
            assert!(!allows(&["0.0.0.0/0", "::/0"], address), "{address}");
        }
    }
}
