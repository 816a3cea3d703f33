//! What tests say to a process over a plain connection, and where they find it.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The address that a line of standard output tells after these words.
pub(crate) fn address(stdout: &mut impl BufRead, before: &str) -> SocketAddr {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address = line.strip_prefix(before).unwrap_or_else(|| panic!("{line:?}"));
    address.trim().trim_end_matches("/metrics").parse().unwrap()
}

/// Everything that is answered until the connection ends.
pub(crate) fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset has said what it had to.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}
