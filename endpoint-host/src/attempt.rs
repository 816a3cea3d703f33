//! One attempt to start a container: it has a deadline, and ends with its endpoint.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::reason::Reason;

/// Serverless endpoints must have their model and answer `/ping` within three minutes:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
pub(crate) const START_LIMIT: Duration = Duration::from_secs(180);

/// What ends an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Fires when the endpoint is stopped.
    stop: CancellationToken,
    /// The deadline.
    pub(crate) until: Instant,
}

impl Attempt {
    /// One that begins now.
    pub(crate) fn new(stop: &CancellationToken) -> Self {
        Self { stop: stop.clone(), until: Instant::now() + START_LIMIT }
    }

    /// Why it is over, if it is.
    pub(crate) fn over(&self) -> Option<Reason> {
        if self.stop.is_cancelled() {
            return Some(Reason::closed());
        }
        (self.until <= Instant::now()).then(too_late)
    }

    /// Does what may be given up at any moment, unless the attempt is over before.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Reason> {
        tokio::select! {
            done = work => Ok(done),
            () = self.stop.cancelled() => Err(Reason::closed()),
            () = sleep_until(self.until) => Err(too_late()),
        }
    }
}

fn too_late() -> Reason {
    Reason::new(format!("the model was not there within {START_LIMIT:?}"))
}
