//! The bounds that a container keeps towards its callers.

use std::time::Duration;

/// What one container takes on, and for how long it works at a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How large a request's body may be.
    pub body_bytes: usize,
    /// When a request must have been answered, from its first byte on.
    pub deadline: Duration,
    /// How many requests may wait for a model at once; one more is refused at once.
    pub queue: usize,
    /// What worker processes see of this one's environment.
    pub environment: Environment,
}

/// What of its own environment a process passes on to the workers that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// All of it: a container has only what was declared for its model.
    Whole,
    /// No more than programs need to run: whoever tries a stranger's package may have secrets.
    Bare,
}

impl Environment {
    /// The variables that a bare environment has; the home is one of its own.
    pub const BARE: [&'static str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];
}

impl Limits {
    /// SageMaker's limit for a request to a real-time endpoint before it was raised.
    pub const DEFAULT_BODY_BYTES: usize = 6 << 20;
    /// SageMaker's limit today.
    pub const MAX_BODY_BYTES: usize = 25 << 20;
    /// SageMaker gives up after 60 seconds; an answer of our own says more than its error.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(55);
    /// What a few threads work off within about a second.
    pub const DEFAULT_QUEUE: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: Self::DEFAULT_BODY_BYTES,
            deadline: Self::DEFAULT_DEADLINE,
            queue: Self::DEFAULT_QUEUE,
            environment: Environment::Whole,
        }
    }
}
