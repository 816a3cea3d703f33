//! An HTTP/1.1 client that shows what really came over the wire, and when.

use std::io;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{Answer, MAX_ANSWER_BYTES, more, receive};
use super::report::shown;
use super::site::Example;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("can't connect: {0}")]
    Connect(io::Error),
    #[error("no answer within {}", shown(*.0))]
    Late(Duration),
    #[error("the connection was closed before the answer was complete")]
    Closed,
    #[error("the connection broke before the answer was complete: {0}")]
    Broke(io::Error),
    #[error("what came is not an HTTP/1.1 answer: {0}")]
    NotHttp(String),
    #[error("the answer is larger than {MAX_ANSWER_BYTES} bytes")]
    TooLarge,
}

/// A request that is still to be written out.
#[derive(Clone)]
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

/// One connection; whatever arrived too early for its reader stays in `unread`.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Request {
    /// `GET /ping`.
    pub(crate) fn ping() -> Self {
        Self { head: "GET /ping HTTP/1.1\r\nhost: container\r\n".to_owned(), body: Vec::new() }
    }

    /// `POST /invocations`.
    pub(crate) fn invocation(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let head = format!(
            "POST /invocations HTTP/1.1\r\nhost: container\r\ncontent-type: {content_type}\r\n"
        );
        Self { head, body: body.into() }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    /// The head, with the body's length, and the body.
    pub(crate) fn parts(&self) -> (Vec<u8>, &[u8]) {
        let is_post = self.head.starts_with("POST");
        let length = if is_post {
            format!("content-length: {}\r\n", self.body.len())
        } else {
            String::new()
        };
        (format!("{}{length}\r\n", self.head).into_bytes(), &self.body)
    }

    /// As it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (head, body) = self.parts();
        [&head, body].concat()
    }

    /// The same in two chunks, without a length.
    pub(crate) fn chunked(&self) -> Vec<u8> {
        let mut bytes = format!("{}transfer-encoding: chunked\r\n\r\n", self.head).into_bytes();
        let (first, second) = self.body.split_at(self.body.len() / 2);
        for chunk in [first, second].into_iter().filter(|chunk| !chunk.is_empty()) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }
}

impl From<&Example> for Request {
    fn from(example: &Example) -> Self {
        Self::invocation(&example.content_type, example.body.clone())
    }
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await.map_err(Fault::Connect)?;
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, unread: Vec::new() })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.stream.write_all(bytes).await.map_err(Fault::Broke)
    }

    /// Reads the next answer.
    pub(crate) async fn answer(&mut self) -> Result<Answer, Fault> {
        receive(&mut self.stream, &mut self.unread).await
    }

    /// Sends while it listens: a server may answer, and close, before it has read everything.
    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> Result<Answer, Fault> {
        let started = Instant::now();
        let (mut reader, mut writer) = self.stream.split();
        let answering = receive(&mut reader, &mut self.unread);
        tokio::pin!(answering);
        let early = tokio::select! {
            answer = &mut answering => Some(answer),
            sent = writer.write_all(bytes) => match sent {
                Ok(()) => None,
                Err(error) => Some(answering.as_mut().await.map_err(|_| Fault::Broke(error))),
            },
        };
        let answer = match early {
            Some(answer) => answer,
            None => answering.await,
        }?;
        Ok(Answer { took: started.elapsed(), ..answer })
    }

    /// Whether the server says `100 Continue` within the limit.
    pub(crate) async fn continues(&mut self, limit: Duration) -> Result<bool, Fault> {
        const CONTINUE: &[u8] = b"HTTP/1.1 100";
        while self.unread.len() < CONTINUE.len() {
            match timeout(limit, more(&mut self.stream, &mut self.unread)).await {
                Ok(more) => more?,
                Err(_) => return Ok(false),
            }
        }
        Ok(self.unread.starts_with(CONTINUE))
    }
}
