//! Why a request has no answer.

use std::io;

/// What was wrong with the connection or the answer. Says nothing of what they hold.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The peer hung up.
    #[error("the connection was closed before the whole answer had come")]
    Closed,
    /// The head or the body is longer than anybody reads.
    #[error("the answer is too large")]
    TooLarge,
    /// The head can't be read.
    #[error("the answer is no HTTP/1")]
    Head(#[source] httparse::Error),
    /// Nobody can tell where the body ends, or what follows it.
    #[error("the answer is no HTTP/1: {0}")]
    Framing(&'static str),
}

/// A request without an answer.
#[derive(Debug)]
pub struct Unanswered {
    /// Whether something of it was sent. If not, the peer has no request that it could act on, and it
    /// can be sent to another.
    pub was_sent: bool,
    /// Why there is no answer.
    pub error: Error,
}

impl From<httparse::Error> for Error {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            error => Self::Head(error),
        }
    }
}
