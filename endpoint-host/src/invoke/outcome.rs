//! How a call went, for the meter and the capture.

use std::time::Duration;

use bytes::Bytes;

/// What is known of a call once it is over.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The container's status; none where it gave no whole answer.
    pub(super) status: Option<u16>,
    /// How long the container took, if it was asked.
    pub(super) model: Option<Duration>,
    /// How long the call waited for a container to start, if it did.
    pub(super) setup: Option<Duration>,
    /// How long the answer is, in bytes.
    pub(super) bytes_out: usize,
    /// What the container answered with success, as far as it was kept.
    pub(super) output: Option<Output>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Output {
    /// Its type.
    pub(super) content_type: Option<String>,
    /// Its body.
    pub(super) body: Bytes,
}
