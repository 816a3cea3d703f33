//! How long, and how urgently, a call is waited for.

use tokio::time::Instant;

/// How long a call is waited for, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// Not longer than this.
    pub(crate) deadline: Instant,
    pub(super) waiting: Waiting,
    /// Whether calls that hang are made again.
    pub(super) repeats_hung: bool,
}

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A caller, so that a model's own limit counts, too.
    Caller,
    /// Nobody for the moment, though somebody wants to know.
    Later,
    /// Only who is curious: it is not to be in anybody's way.
    Idly,
}

impl Waiting {
    /// The same once all callers have gone.
    pub(super) fn without_callers(self) -> Self {
        if self == Self::Caller { Self::Later } else { self }
    }
}

impl Until {
    /// As long as a caller may wait.
    pub(crate) fn caller(deadline: Instant) -> Self {
        Self { deadline, waiting: Waiting::Caller, repeats_hung: false }
    }

    /// As long as it takes, since no caller waits: endpoints that start, throttle or fail are
    /// asked again.
    pub(crate) fn nobody(deadline: Instant) -> Self {
        Self { deadline, waiting: Waiting::Later, repeats_hung: true }
    }

    /// The same, but an endpoint that hangs, and is not starting, is not asked again.
    pub(crate) fn starts(deadline: Instant) -> Self {
        Self { repeats_hung: false, ..Self::nobody(deadline) }
    }

    /// Only if there is room, and once.
    pub(crate) fn idly(deadline: Instant) -> Self {
        Self { deadline, waiting: Waiting::Idly, repeats_hung: false }
    }

    pub(super) fn is_caller(self) -> bool {
        self.waiting == Waiting::Caller
    }
}
