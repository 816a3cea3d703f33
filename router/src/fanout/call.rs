//! What became of one call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;

/// Valid scores by label.
pub(crate) type KnownScores = Arc<BTreeMap<String, f64>>;

/// Those of a call without an answer.
static NO_SCORES: LazyLock<KnownScores> = LazyLock::new(Arc::default);

/// The result of one planned call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// How it ended.
    pub(crate) status: Status,
    /// The version that the answer names.
    pub(crate) version: Option<Arc<str>>,
    /// The scores of the planned labels, in their order, as far as the answer has them; empty
    /// without an answer.
    pub(crate) scores: Vec<Option<f64>>,
    /// The valid scores of all labels that the answer has.
    pub(crate) all_scores: KnownScores,
    /// From the wait for a permit to the answer.
    pub(crate) latency: Duration,
    /// When it was over, where it was made.
    pub(crate) ended: Option<Instant>,
    /// Why it lacks scores, without any of the content.
    pub(crate) cause: Option<Arc<str>>,
}

impl Call {
    /// The result of not calling a model.
    pub(crate) fn skipped() -> Self {
        Self::without_scores(Status::Skipped, Duration::ZERO)
    }

    /// The result of a call that brought nothing.
    pub(crate) fn without_scores(status: Status, latency: Duration) -> Self {
        let all_scores = Arc::clone(&NO_SCORES);
        Self {
            status,
            version: None,
            scores: Vec::new(),
            all_scores,
            latency,
            ended: None,
            cause: None,
        }
    }

    /// The result of a call that was made and has failed for this reason.
    pub(crate) fn failed(status: Status, latency: Duration, cause: Arc<str>) -> Self {
        let ended = Some(Instant::now());
        Self { ended, cause: Some(cause), ..Self::without_scores(status, latency) }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[schema(as = CallStatus)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// With the scores that were asked for.
    Ok,
    /// Not made: the scores of the same model for the same content were known.
    Cached,
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
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Ok, Self::Cached, Self::Timeout, Self::Throttled, Self::Failed, Self::Skipped];

    /// Whether it ended with all scores that were asked for.
    pub(crate) fn has_scores(self) -> bool {
        matches!(self, Self::Ok | Self::Cached)
    }

    /// As on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cached => "cached",
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
