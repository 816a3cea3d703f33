//! An upstream of raw sockets, which does to a connection whatever a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that lives as long as the test's process.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
}

/// Head and body.
pub(crate) type Message = (String, Vec<u8>);

/// One request, and the connection that it came on.
pub(crate) struct Exchange {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) stream: TcpStream,
}

impl Exchange {
    pub(crate) fn send(&mut self, text: &str) {
        // A client that has gone is what some tests are about.
        let _ = self.stream.write_all(text.as_bytes());
    }
}

impl Upstream {
    /// Calls the function for each request; a connection ends when it says so.
    pub(crate) fn start(answer: impl Fn(&mut Exchange) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, all) = (Arc::new(answer), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                let (answer, all) = (Arc::clone(&answer), Arc::clone(&all));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some((head, body)) = read_message(&mut reader) {
                        all.lock().unwrap().push((head.clone(), body.clone()));
                        let stream = stream.try_clone().unwrap();
                        if !answer(&mut Exchange { head, body, stream }) {
                            return stream_end(&reader);
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// Answers each request with the same bytes.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::start(move |exchange| {
            exchange.send(answer);
            true
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Head and body of the requests so far.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }
}

fn stream_end(reader: &BufReader<TcpStream>) {
    // Whoever has closed it already needs no more.
    let _ = reader.get_ref().shutdown(std::net::Shutdown::Both);
}

/// A head, and the body that it announces; none at the end of the connection.
pub(crate) fn read_message(reader: &mut impl BufRead) -> Option<Message> {
    let head = read_head(reader)?;
    let has = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|line| line.0.eq_ignore_ascii_case(name)).map(|line| line.1).next()
    };
    let mut body = Vec::new();
    if let Some(length) = has("content-length") {
        reader.take(length.parse().unwrap()).read_to_end(&mut body).ok()?;
    } else if has("transfer-encoding").is_some() {
        while let Some(mut chunk) = read_chunk(reader) {
            body.append(&mut chunk);
        }
    }
    Some((head, body))
}

pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(head)
}

/// The next chunk; none at the end of the body or of the connection.
pub(crate) fn read_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut size = String::new();
    reader.read_line(&mut size).ok()?;
    let size = usize::from_str_radix(size.trim(), 16).ok()?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}
