//! What became of one call.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The result of one planned call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// How it ended.
    pub(crate) status: Status,
    /// The version that the answer names.
    pub(crate) version: Option<String>,
    /// The scores of the planned labels, in their order, as far as the answer has them; empty
    /// without an answer.
    pub(crate) scores: Vec<Option<f64>>,
    /// The valid scores of all labels that the answer has.
    pub(crate) all_scores: BTreeMap<String, f64>,
    /// From the wait for a permit to the answer.
    pub(crate) latency: Duration,
}

impl Call {
    /// The result of not calling a model.
    pub(crate) fn skipped() -> Self {
        Self::without_scores(Status::Skipped, Duration::ZERO)
    }

    /// The result of a call that brought nothing.
    pub(crate) fn without_scores(status: Status, latency: Duration) -> Self {
        let all_scores = BTreeMap::new();
        Self { status, version: None, scores: Vec::new(), all_scores, latency }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(as = CallStatus)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// With the scores that were asked for.
    Ok,
    /// Not before the deadline, or not within the model's own time.
    Timeout,
    /// The model has too much to do.
    Throttled,
    /// With an error, or with an answer that cannot be used, or lacks a score that was asked for.
    Failed,
    /// It was not made: the model is switched off, or nothing depended on it.
    Skipped,
}

impl Status {
    /// As on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
