//! Ports for containers that must be told where to listen.

use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

/// The system takes ports for connections, and for whoever asks for any port, from above these: a
/// container that is slow to listen finds its port still free.
const FIRST: u16 = 10_000;

/// So many there are.
const COUNT: u16 = 20_000;

/// Gives out ports.
#[derive(Debug, Default)]
pub(crate) struct Ports(Arc<Mutex<HashSet<u16>>>);

/// A port that no other container is given as long as this is kept.
#[derive(Debug)]
pub(crate) struct Port {
    /// The number.
    number: u16,
    /// All that are given out.
    taken: Arc<Mutex<HashSet<u16>>>,
}

impl Ports {
    /// A port on which nothing listens; any one, so that two hosts seldom choose the same.
    pub(crate) fn take(&self) -> Port {
        let mut taken = lock(&self.0);
        let any = Uuid::new_v4().as_u128() % u128::from(COUNT);
        let any = u16::try_from(any).expect("a remainder is less than its divisor");
        let mut ports = (0..COUNT).map(|offset| FIRST + (any + offset) % COUNT);
        // If all were taken, the container would fail to listen and say so.
        let number = ports.find(|port| !taken.contains(port) && is_free(*port)).unwrap_or(FIRST);
        taken.insert(number);
        Port { number, taken: Arc::clone(&self.0) }
    }
}

impl Port {
    /// Where a container with this port listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        lock(&self.taken).remove(&self.number);
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn lock(taken: &Mutex<HashSet<u16>>) -> MutexGuard<'_, HashSet<u16>> {
    taken.lock().expect("counting ports does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_out_once_at_a_time() {
        let ports = Ports::default();
        let all: Vec<_> = (0..200).map(|_| ports.take()).collect();
        let distinct: HashSet<_> = all.iter().map(|port| port.number).collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|port| is_free(port.number)));
        drop(all);
        assert!(lock(&ports.0).is_empty());
    }
}
