//! The TCP addresses that some processes listen on, from Linux's `/proc`.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::Pid;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Where the processes listen.
pub(crate) fn of(processes: &[Pid]) -> Vec<SocketAddr> {
    let sockets: HashSet<String> = processes.iter().copied().flat_map(sockets).collect();
    let own = all().into_iter().filter(|(_, socket)| sockets.contains(socket));
    own.map(|(address, _)| address).collect()
}

/// Whether nobody listens on this port of the machine; a try to bind it could be in the way of the
/// one that is about to.
pub(crate) fn is_free(port: u16) -> bool {
    all().iter().all(|(address, _)| address.port() != port)
}

/// Every listener of this machine and the inode of its socket.
fn all() -> Vec<(SocketAddr, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    tables.iter().flatten().flat_map(|table| table.lines().filter_map(listener)).collect()
}

/// The inodes of a process's sockets.
fn sockets(pid: Pid) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    links
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect()
}

/// A line's address and inode, when it is of a listener.
fn listener(line: &str) -> Option<(SocketAddr, String)> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    if columns.get(3) != Some(&LISTEN) {
        return None;
    }
    let (ip, port) = columns[1].split_once(':')?;
    let address = SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?);
    Some((address, (*columns.get(9)?).to_owned()))
}

/// The address in hexadecimal, each 32 bits of it in the machine's byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let words = hex.as_bytes().chunks(8).map(|word| {
        let word = std::str::from_utf8(word).ok()?;
        Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        _ => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_own_listeners_are_found_and_no_connections() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let any = TcpListener::bind("[::]:0").unwrap();
        let address = v4.local_addr().unwrap();
        let _connection = std::net::TcpStream::connect(address).unwrap();
        let own = Pid::from_raw(std::process::id().try_into().unwrap()).unwrap();
        let found = of(&[own]);
        assert!(
            found.contains(&address) && found.contains(&any.local_addr().unwrap()),
            "{found:?}"
        );
        assert_eq!(found.iter().filter(|found| found.port() == address.port()).count(), 1);
        assert_eq!(of(&[]), []);
        assert!(!is_free(address.port()));
    }
}
