//! A target for replays: a small HTTP server on a port of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A server that lives as long as the test's process.
pub(crate) struct Target {
    address: SocketAddr,
}

/// A request as the server read it.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

/// What the server does with a request.
pub(crate) enum Reply {
    Answer { status: u16, content_type: &'static str, body: &'static str },
    Cut,
    Never,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: &'static str) -> Self {
        Self::Answer { status, content_type, body }
    }

    /// Closes the connection without an answer.
    pub(crate) fn cut() -> Self {
        Self::Cut
    }

    /// Keeps the connection open without an answer.
    pub(crate) fn never() -> Self {
        Self::Never
    }
}

impl Target {
    /// Starts a server that replies to each request as the function says.
    pub(crate) fn start(reply: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Arc::new(reply);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let reply = Arc::clone(&reply);
                thread::spawn(move || serve(stream.unwrap(), &*reply));
            }
        });
        Self { address }
    }

    /// The URL of a port that nobody listens at any more.
    pub(crate) fn down() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    }

    /// The server's URL with a path behind it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn serve(stream: TcpStream, reply: &dyn Fn(&Received) -> Reply) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        match reply(&request) {
            Reply::Answer { status, content_type, body } => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
                );
                writer.write_all((head + body).as_bytes()).unwrap();
            }
            Reply::Cut => return,
            Reply::Never => thread::sleep(Duration::from_secs(60)),
        }
    }
}

/// The next request, or none where the client has gone.
fn read_request(reader: &mut impl BufRead) -> Option<Received> {
    let mut start = String::new();
    if reader.read_line(&mut start).unwrap_or(0) == 0 {
        return None;
    }
    let mut words = start.split(' ').map(str::to_owned);
    let mut request =
        Received { method: words.next()?, path: words.next()?, ..Received::default() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().unwrap();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-type") => {
                request.content_type = Some(value.to_owned());
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}
