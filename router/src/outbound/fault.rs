//! Why a call to a URL has no answer.

use http1_connection::Error;

use crate::error::chain;

/// Why there is no answer. Says nothing of the URL, the request or the answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// There was one, whose head or body is longer than anybody reads.
    #[error("the answer is too large")]
    TooLarge,
    /// No connection could be made, so nothing was sent.
    #[error("{0}")]
    Unreached(String),
    /// The connection broke, or what came was no answer.
    #[error("{0}")]
    Broken(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::TooLarge => Self::TooLarge,
            error => Self::Broken(chain(&error)),
        }
    }
}
