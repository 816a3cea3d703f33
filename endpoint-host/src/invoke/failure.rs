//! Why a call that was taken has no answer.

use super::unanswered;
use crate::api_error::ApiError;
use crate::app::App;
use crate::model_error::ModelError;
use crate::pool::NoContainer;
use crate::reason::Reason;
use crate::region::Region;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The container failed the call, or none could be started.
    Model(ModelError),
    /// No container was ready in time.
    NotReady,
    /// The endpoint is being deleted, or the host stops.
    Closed,
    /// The host itself failed.
    Internal(String),
}

impl Failure {
    /// The call got no container.
    pub(super) fn no_container(none: NoContainer) -> Self {
        match none {
            NoContainer::Late => Self::NotReady,
            NoContainer::Failed(reason) if reason.is_closed() => Self::Closed,
            NoContainer::Failed(reason) => Self::silent(format!("cannot start: {reason}")),
        }
    }

    /// The container ended before it had answered.
    pub(super) fn ended(reason: &Reason) -> Self {
        if reason.is_closed() { Self::Closed } else { Self::silent(reason.to_string()) }
    }

    /// The container gave no answer.
    pub(super) fn silent(message: impl Into<String>) -> Self {
        Self::Model(ModelError::silent(message))
    }

    /// The answer to the caller.
    pub(super) fn of(self, app: &App, region: &Region, endpoint: &str) -> ApiError {
        match self {
            Self::Model(error) => error.of(region, endpoint),
            Self::NotReady => ApiError::model_not_ready(),
            Self::Closed => unanswered(app, endpoint),
            Self::Internal(cause) => ApiError::internal(&cause),
        }
    }
}
