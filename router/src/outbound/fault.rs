//! Why a call to a URL has no answer.

use std::error::Error;
use std::iter::successors;

use http_body_util::LengthLimitError;

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
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
}

impl Fault {
    /// What an error says that came once there was a connection.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if is_too_large(error) { Self::TooLarge } else { Self::Broken(chain(error)) }
    }
}

/// Whether this is about an answer that is longer than anybody reads.
pub(crate) fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source()).any(|error| {
        let is_head = error.downcast_ref().is_some_and(hyper::Error::is_parse_too_large);
        is_head || error.is::<LengthLimitError>()
    })
}
