//! A target for replays: a small HTTP server on a port of its own.

use std::io::{BufRead, BufReader, Read, Write};
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
    /// The other headers, a line each.
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// What the server does with a request.
pub(crate) enum Reply {
    Answer { status: u16, content_type: &'static str, body: &'static str },
    Verbatim(String),
    Cut,
    Never,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &'static str, body: &'static str) -> Self {
        Self::Answer { status, content_type, body }
    }

    /// Sends these bytes, whatever they are.
    pub(crate) fn verbatim(text: impl Into<String>) -> Self {
        Self::Verbatim(text.into())
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
        Self::start_at("127.0.0.1:0", reply)
    }

    /// The same at an address.
    pub(crate) fn start_at(
        address: &str,
        reply: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_on(address, |stream| stream, reply)
    }

    /// The same behind TLS, say.
    pub(crate) fn start_on<S: Read + Write>(
        address: &str,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
        reply: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new((wrap, reply));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    stream.set_nodelay(true).unwrap();
                    serve(shared.0(stream), &shared.1);
                });
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

fn serve(stream: impl Read + Write, reply: &dyn Fn(&Received) -> Reply) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let answer = match reply(&request) {
            Reply::Answer { status, content_type, body } => {
                let length = body.len();
                format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
                )
            }
            Reply::Verbatim(text) => text,
            Reply::Cut => return,
            Reply::Never => return thread::sleep(Duration::from_secs(60)),
        };
        // A caller who was killed takes no answer.
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
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
            Some(_) => request.headers += &line,
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}
