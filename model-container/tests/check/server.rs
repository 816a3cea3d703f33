//! A small container that keeps the contract, save for the one fault that a test gives it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A request as it came in; its path is empty where it was no HTTP.
pub(crate) struct Call {
    pub(crate) path: String,
    /// The head in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// How many invocations there are at this moment, this one included.
    pub(crate) running: usize,
}

/// What the server does instead of what it should.
pub(crate) enum Fault {
    Answer(u16),
    /// Answers 200 with this content type and body.
    Content(&'static str, &'static str),
    /// Answers as it should, then closes without having said so.
    ThenClose,
    Close,
    Silence,
    NotHttp,
}

type Faulty = dyn Fn(&Call) -> Option<Fault> + Send + Sync;

struct Server {
    faulty: Box<Faulty>,
    running: AtomicUsize,
}

/// Starts the server and gives its address; it ends with the tests.
pub(crate) fn serve(faulty: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Arc::new(Server { faulty: Box::new(faulty), running: AtomicUsize::new(0) });
    thread::spawn(move || {
        for stream in listener.incoming() {
            let server = Arc::clone(&server);
            thread::spawn(move || server.connection(&stream.unwrap()));
        }
    });
    address
}

impl Server {
    fn connection(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut call = Call::read(&mut reader, stream)?;
            let is_invocation = call.path == "/invocations";
            let added = usize::from(is_invocation);
            call.running = self.running.fetch_add(added, Ordering::SeqCst) + added;
            if is_invocation {
                // Long enough for calls to meet.
                thread::sleep(Duration::from_millis(5));
            }
            let fault = (self.faulty)(&call);
            self.running.fetch_sub(added, Ordering::SeqCst);
            reply(stream, &call, fault.as_ref())?;
        }
    }
}

/// Answers; nothing when the connection is to be closed.
fn reply(mut stream: &TcpStream, call: &Call, fault: Option<&Fault>) -> Option<()> {
    let is_json = call.head.contains("content-type: application/json");
    let right = match call.path.as_str() {
        "/ping" => (200, "text/plain", ""),
        "/invocations" if !is_json => (415, "text/plain", "send JSON"),
        "/invocations" if serde_json::from_slice::<serde_json::Value>(&call.body).is_err() => {
            (400, "text/plain", "not JSON")
        }
        "/invocations" => (200, "application/json", "{\"label\": \"ham\"}"),
        _ => (400, "text/plain", ""),
    };
    let (status, content_type, body) = match fault {
        Some(Fault::Answer(status)) => (*status, "text/plain", "no"),
        Some(Fault::Content(content_type, body)) => (200, *content_type, *body),
        Some(Fault::Close) => return None,
        Some(Fault::Silence) => return Some(()),
        Some(Fault::NotHttp) => {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").ok()?;
            return None;
        }
        Some(Fault::ThenClose) | None => right,
    };
    let head = format!("HTTP/1.1 {status} Reason\r\ncontent-type: {content_type}\r\n");
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).ok()?;
    let closes = matches!(fault, Some(Fault::ThenClose)) || call.path.is_empty();
    (!closes).then_some(())
}

impl Call {
    fn read(reader: &mut BufReader<&TcpStream>, mut stream: &TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = reader.by_ref().take(8192).read_until(b'\n', &mut head).ok()?;
            if read == 0 {
                // Whoever leaves in the middle of a head was no caller.
                return None;
            }
            if head == b"GET\r\n" {
                return Some(Self {
                    path: String::new(),
                    head: String::new(),
                    body: vec![],
                    running: 0,
                });
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if head.contains("expect: 100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let mut body = Vec::new();
        if head.contains("transfer-encoding: chunked") {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size).ok()?;
                let size = u64::from_str_radix(size.trim(), 16).ok()?;
                reader.by_ref().take(size).read_to_end(&mut body).ok()?;
                reader.read_line(&mut String::new()).ok()?;
                if size == 0 {
                    break;
                }
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if let Some(length) = length {
            let length = length.parse().unwrap();
            reader.by_ref().take(length).read_to_end(&mut body).ok()?;
            if body.len() as u64 != length {
                return None;
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        Some(Self { path, head, body, running: 0 })
    }
}
