//! Why a container could not start, or is gone.

use std::fmt;
use std::sync::Arc;

/// What stops for good says this.
const CLOSED: &str = "the endpoint is being stopped";

/// A sentence for the endpoint's owner, cheap to hand to every call that waits.
#[derive(Clone, Debug)]
pub(crate) struct Reason(Arc<str>);

impl Reason {
    /// A reason in these words.
    pub(crate) fn new(words: impl Into<Arc<str>>) -> Self {
        Self(words.into())
    }

    /// The endpoint was deleted, or the host is stopping.
    pub(crate) fn closed() -> Self {
        Self::new(CLOSED)
    }

    /// Whether that is the reason.
    pub(crate) fn is_closed(&self) -> bool {
        &*self.0 == CLOSED
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
