//! How a call went, for the meter and the capture.

use std::time::Duration;

use bytes::Bytes;

use super::failure::Failure;
use crate::meter::Ending;

/// What is known of a call once it is over.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// How it ended.
    pub(super) ending: Ending,
    /// How long the container took, if it was asked.
    pub(super) model: Option<Duration>,
    /// How long the call waited for a container to start, if it did.
    pub(super) setup: Option<Duration>,
    /// How long the answer is, in bytes.
    pub(super) bytes_out: usize,
    /// What the container answered with success, as far as it was kept.
    pub(super) output: Option<Output>,
}

impl Outcome {
    /// The model is not to blame for every failure.
    pub(super) fn excuse(&mut self, failure: &Failure) {
        if matches!(failure, Failure::NotReady | Failure::Closed) {
            self.ending = Ending::Excused;
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Output {
    /// Its type.
    pub(super) content_type: Option<String>,
    /// Its body.
    pub(super) body: Bytes,
}
