//! How long the calls of a verdict are waited for. Those that no caller waits for end not much
//! later than the router is to serve.

use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fanout::call::{Call, Status};
use crate::fanout::{Asked, Until};

/// How long calls under way may take once the router is to stop: half of the time that it has then,
/// since what comes of them must be stored, too.
const LAST_CALL: Duration = Duration::from_secs(10);

/// How long a verdict may take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait<'a> {
    /// As long as a caller may wait.
    Caller(Instant),
    /// As long as it takes, since no caller waits, unless the router is to stop, or the options
    /// were overtaken by others.
    Nobody { until: Until, overtaken: &'a CancellationToken },
}

impl Wait<'_> {
    /// The same, for each call.
    pub(super) fn until(self) -> Until {
        match self {
            Self::Caller(deadline) => Until::caller(deadline),
            Self::Nobody { until, .. } => until,
        }
    }
}

/// The calls of a verdict that are not over; each comes with its index in the plan.
#[derive(Debug)]
pub(super) struct UnderWay<'a, F> {
    calls: FuturesUnordered<F>,
    /// What ends the waiting early, where no caller waits.
    ends: Option<Ends<'a>>,
    /// When it ends as the router is to stop, once that is known.
    end: Option<Instant>,
}

/// What ends the waiting early.
#[derive(Clone, Copy, Debug)]
struct Ends<'a> {
    stopping: &'a CancellationToken,
    overtaken: &'a CancellationToken,
}

impl<'a, F: Future<Output = (usize, Asked)>> UnderWay<'a, F> {
    pub(super) fn new(wait: Wait<'a>, stopping: &'a CancellationToken) -> Self {
        let ends = match wait {
            Wait::Caller(_) => None,
            Wait::Nobody { overtaken, .. } => Some(Ends { stopping, overtaken }),
        };
        Self { calls: FuturesUnordered::new(), ends, end: None }
    }

    pub(super) fn push(&mut self, call: F) {
        self.calls.push(call);
    }

    /// Whether no more calls are to be made.
    pub(super) fn is_closed(&self) -> bool {
        self.is_overtaken() || self.ends.is_some_and(|ends| ends.stopping.is_cancelled())
    }

    fn is_overtaken(&self) -> bool {
        self.ends.is_some_and(|ends| ends.overtaken.is_cancelled())
    }

    /// What becomes of a call that is not waited for any longer: it has taken too long, or, where
    /// it will be looked at by other options, nobody knows.
    pub(super) fn given_up(&self, latency: Duration) -> Option<Call> {
        (!self.is_overtaken()).then(|| Call::without_scores(Status::Timeout, latency))
    }

    /// The next call that is over; none where there is no more, or it was waited enough.
    pub(super) async fn next(&mut self) -> Option<(usize, Asked)> {
        let Some(Ends { stopping, overtaken }) = self.ends else { return self.calls.next().await };
        tokio::select! {
            biased;
            over = self.calls.next() => over,
            () = overtaken.cancelled() => None,
            () = last_call(stopping, &mut self.end) => None,
        }
    }

    /// The same, and none once this is over, which the calls of a stage have in common.
    pub(super) async fn next_before(&mut self, end: Pin<&mut Sleep>) -> Option<(usize, Asked)> {
        tokio::select! {
            biased;
            over = self.next() => over,
            () = end => None,
        }
    }
}

/// Is over a moment after the router is to stop, however often it is asked.
async fn last_call(stopping: &CancellationToken, end: &mut Option<Instant>) {
    stopping.cancelled().await;
    sleep_until(*end.get_or_insert_with(|| Instant::now() + LAST_CALL)).await;
}
