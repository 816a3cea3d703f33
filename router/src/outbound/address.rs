//! Sorts addresses by who may be behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Anywhere on the internet.
    Public,
    /// This machine, or the network around it.
    Private,
    /// Never a model: a cloud's metadata, this very link, everyone, or nobody.
    Never,
}

/// Where clouds tell a machine its credentials, apart from the link-local addresses.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

impl Place {
    pub(crate) fn of(address: IpAddr) -> Self {
        if METADATA.contains(&address) {
            return Self::Never;
        }
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => match plain(IpAddr::V6(address)) {
                IpAddr::V4(inner) => Self::of(IpAddr::V4(inner)),
                IpAddr::V6(address) => of_v6(address),
            },
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        [0 | 224..=255, ..] | [169, 254, ..] | [192, 0, 0, _] => Place::Never,
        [10 | 127, ..]
        | [100, 64..=127, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [198, 18 | 19, ..]
        | [192, 0, 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Place::Private,
        _ => Place::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Place {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Private,
        // The rest of ::/96 is the unspecified address, or an old form of IPv4.
        [0, 0, 0, 0, 0, 0, ..] => Place::Never,
        [0xfe80..=0xfebf | 0xff00..=0xffff, ..] => Place::Never,
        // What a cloud tells its machines, their credentials above all; and NAT64 of one's own
        // network, which translates to anywhere.
        [0xfd00, 0xec2, ..] | [0x64, 0xff9b, 1, ..] => Place::Never,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Place::Private,
        // What tunnels to anywhere, and what is for documents and for nobody.
        [0x2001, 0, ..] | [0x2001, 0xdb8, ..] | [0x100, 0, ..] => Place::Private,
        _ => Place::Public,
    }
}

/// The IPv4 address in an IPv6 one that only stands for it: mapped, NAT64 or 6to4.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => inner(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::of(text.parse().unwrap())
    }

    #[test]
    fn metadata_and_link_local_addresses_are_never_called_in_whatever_form() {
        for never in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00:808:808",
            "fd00:ec2::23",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            assert_eq!(place(never), Place::Never, "{never}");
        }
    }

    #[test]
    fn this_machine_and_its_network_are_private() {
        for private in [
            "127.0.0.1",
            "127.8.9.10",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "fc00::1",
            "fd12:3456::1",
            "fec0::1",
        ] {
            assert_eq!(place(private), Place::Private, "{private}");
        }
    }

    #[test]
    fn everything_else_is_public() {
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "172.15.0.1",
            "192.169.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert_eq!(place(public), Place::Public, "{public}");
        }
    }
}
