//! Sorts the ways in which a call can fail.

use std::error::Error;
use std::fmt::Display;
use std::iter::successors;
use std::sync::Arc;

use aws_sdk_sagemakerruntime::error::ProvideErrorMetadata;
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use http_body_util::LengthLimitError;
use hyper_util::client::legacy;

use super::call::Status;
use super::until::{Until, Waiting};
use crate::error::chain;

/// A failed call: its status for the caller, its cause for the log, and whose fault it is.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What the verdict says.
    pub(crate) status: Status,
    /// What happened, without any of the content.
    pub(crate) cause: Arc<str>,
    /// Who is to blame.
    pub(super) blame: Blame,
    /// How often the same call is worth being made again at once.
    pub(super) retries: u32,
    /// Whether an answer may come yet.
    pub(super) hope: Hope,
}

/// Whether the same call may be answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hope {
    /// The same would come of it.
    None,
    /// Once the endpoint has recovered.
    Later,
    /// As soon as the endpoint has started.
    Starting,
}

/// Whom a failure speaks against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The content: the container has looked at it and refused.
    Content,
    /// The model: the container has failed at this payload, and may at others.
    Model,
    /// The endpoint: whatever it was sent, it would have failed.
    Endpoint,
    /// Nobody: the endpoint is starting or has too much to do, or nobody waited any longer.
    Nobody,
}

impl Failure {
    fn new(status: Status, blame: Blame, cause: impl Into<Arc<str>>) -> Self {
        let hope = match blame {
            Blame::Content | Blame::Model => Hope::None,
            Blame::Endpoint | Blame::Nobody => Hope::Later,
        };
        Self { status, cause: cause.into(), blame, retries: 0, hope }
    }

    /// The same, of an endpoint that may be starting.
    pub(super) fn while_starting(self) -> Self {
        Self { hope: Hope::Starting, ..self }
    }

    /// The call would be in somebody's way.
    pub(super) fn spared() -> Self {
        Self::new(Status::Skipped, Blame::Nobody, "no room for a call that can be left out")
    }

    /// The endpoint has begun to start and says so.
    fn starting(cause: impl Into<Arc<str>>) -> Self {
        Self { retries: 5, ..Self::throttled(cause) }.while_starting()
    }

    /// Nobody waited any longer.
    pub(super) fn late(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Timeout, Blame::Nobody, cause)
    }

    /// There is no connection within the time for one.
    fn unreached(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Timeout, Blame::Endpoint, cause)
    }

    /// The container's answer can't be used.
    pub(super) fn answer(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Failed, Blame::Model, cause)
    }

    /// The endpoint does not do its work, and would not if asked again.
    pub(super) fn endpoint(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Failed, Blame::Endpoint, cause)
    }

    /// The container was not reached: it may be asked again.
    pub(super) fn broken(cause: impl Into<Arc<str>>) -> Self {
        Self { retries: 2, ..Self::endpoint(cause) }
    }

    /// The connection broke once the payload was sent, by which the container may have died.
    pub(super) fn broke_off(cause: impl Into<Arc<str>>) -> Self {
        Self { hope: Hope::Later, ..Self::model(cause) }
    }

    /// The endpoint answers more than anybody reads.
    pub(super) fn too_large() -> Self {
        Self::answer("the answer is too large")
    }

    /// There is too much to do, for the endpoint or for the router.
    pub(super) fn throttled(cause: impl Into<Arc<str>>) -> Self {
        Self { retries: 2, ..Self::new(Status::Throttled, Blame::Nobody, cause) }
    }

    /// The container refuses the content.
    pub(super) fn content(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Failed, Blame::Content, cause)
    }

    /// The container failed at the content.
    pub(super) fn model(cause: impl Into<Arc<str>>) -> Self {
        Self { retries: 1, ..Self::new(Status::Failed, Blame::Model, cause) }
    }

    /// What a container behind an endpoint has answered, in the status that it gave itself.
    pub(super) fn of_container(status: u16, cause: impl Into<Arc<str>>) -> Self {
        match status {
            429 | 503 => Self::throttled(cause),
            400..500 => Self::content(cause),
            _ => Self::model(cause),
        }
    }

    /// Whether who waits so is to ask again later.
    pub(super) fn is_worth_repeating(&self, until: Until) -> bool {
        let is_hung = self.status == Status::Timeout && self.hope != Hope::Starting;
        until.waiting == Waiting::Later
            && self.hope != Hope::None
            && (until.repeats_hung || !is_hung)
    }

    /// The call of an endpoint can't be sent to anybody.
    pub(super) fn unsent() -> Self {
        Self::endpoint("the call could not be built; check region and credentials")
    }

    /// There are no credentials to sign the call with.
    pub(super) fn unsigned(cause: impl Display) -> Self {
        Self::endpoint(format!("the call could not be signed; check the credentials: {cause}"))
    }

    /// The failure behind an error of the SDK's connections.
    pub(super) fn of_connection(error: &ConnectorError) -> Self {
        match error {
            _ if is_too_large(error) => Self::too_large(),
            _ if error.is_timeout() => Self::unreached("connection timed out"),
            _ if is_unreached(error) => Self::broken(chain(error)),
            _ => Self::broke_off(chain(error)),
        }
    }

    /// The failure behind an error at reading an answer's body.
    pub(super) fn of_body(error: &(dyn Error + 'static)) -> Self {
        match error {
            _ if is_too_large(error) => Self::too_large(),
            _ if has_broken_off(error) => Self::broke_off("the answer broke off"),
            _ => Self::endpoint("the answer can't be read"),
        }
    }

    /// The failure that SageMaker's runtime tells of, with this status.
    ///
    /// Messages from behind the endpoint are left out, since they may quote the content. Throttling
    /// comes as status 400 with a code in a header, as 429 or 503 of the runtime, or as one of those
    /// from the container behind.
    pub(super) fn of_service(error: &InvokeEndpointError, status: u16) -> Self {
        let code = error.code().unwrap_or("no code");
        if let InvokeEndpointError::ModelError(model) = error {
            let original = model.original_status_code();
            let original = original.and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
            let cause = format!("{code}, the container answered with status {original}");
            return Self::of_container(original, cause);
        }
        let cause = format!("{code}, status {status}");
        match (error, status) {
            (InvokeEndpointError::ModelNotReadyException(_), _) => Self::starting(cause),
            _ if code == "ThrottlingException" => Self::throttled(cause),
            (_, 429 | 503) => Self::throttled(cause),
            (_, 500..) => Self::broken(cause),
            _ => Self::endpoint(cause),
        }
    }
}

/// Whether no connection could be made, so that nothing was sent.
fn is_unreached(error: &(dyn Error + 'static)) -> bool {
    let mut causes = successors(Some(error), |&cause| cause.source());
    causes.any(|cause| cause.downcast_ref().is_some_and(legacy::Error::is_connect))
}

/// Whether this is about an answer that is longer than anybody reads.
fn is_too_large(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source()).any(|error| {
        let is_head = error.downcast_ref().is_some_and(hyper::Error::is_parse_too_large);
        is_head || error.is::<LengthLimitError>()
    })
}

/// Whether the connection failed while the answer was being read.
fn has_broken_off(error: &(dyn Error + 'static)) -> bool {
    let mut causes = successors(Some(error), |&cause| cause.source());
    causes.any(|cause| cause.downcast_ref::<hyper::Error>().is_some())
}
