//! What became of one call.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The result of one planned call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// How it ended.
    pub(crate) status: Status,
    /// The version that the answer names.
    pub(crate) version: Option<String>,
    /// The scores of the planned labels, in their order; empty unless the status is ok.
    pub(crate) scores: Vec<f64>,
    /// From the wait for a permit to the answer.
    pub(crate) latency: Duration,
}

impl Call {
    /// The result of not calling a model that is switched off.
    pub(crate) fn skipped() -> Self {
        Self { status: Status::Skipped, version: None, scores: Vec::new(), latency: Duration::ZERO }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// With the scores that were asked for.
    Ok,
    /// Not before the deadline, or not within the model's own time.
    Timeout,
    /// The model has too much to do.
    Throttled,
    /// With an error, or with an answer that cannot be used.
    Failed,
    /// The model is switched off.
    Skipped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
