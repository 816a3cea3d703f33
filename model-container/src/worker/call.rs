//! One call to a worker, on its way from the caller to the process and back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a worker is asked.
#[derive(Debug)]
pub(crate) enum Call {
    /// One request's object of fields.
    Fields(Box<RawValue>),
    /// A request's bytes as they came, for a worker with `raw = true`.
    Raw {
        /// The bytes.
        body: Bytes,
        /// What they are.
        content_type: String,
        /// What the client wants back.
        accept: String,
    },
}

/// What a worker answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// Every label with a finite score, in the order of the package's labels.
    Scores(Vec<(String, f64)>),
    /// A body for the client as it is.
    Raw {
        /// What it is.
        content_type: String,
        /// The bytes.
        body: Bytes,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// As many calls are waiting as may.
    Full,
    /// No worker was free before the deadline.
    Late,
    /// No worker is running, and none starts soon; the sentence says why.
    Down(String),
    /// The request has ended a worker twice; the sentence names its hash.
    Poisonous(String),
    /// The worker failed on it; the sentence says how.
    Failed(String),
}

/// A request's SHA-256.
pub(super) type Hash = [u8; 32];

impl Call {
    /// Asks about an object of fields, of a raw worker as a JSON body.
    pub(crate) fn of_fields(fields: &impl Serialize, is_raw: bool) -> Self {
        let fields = to_raw_value(fields).expect("fields are JSON");
        if !is_raw {
            return Self::Fields(fields);
        }
        let json = || "application/json".to_owned();
        let body = Box::<str>::from(fields).into_string().into();
        Self::Raw { body, content_type: json(), accept: json() }
    }

    /// What the same request has again, and no other.
    pub(super) fn hash(&self) -> Hash {
        let mut hasher = Sha256::new();
        match self {
            Self::Fields(fields) => hasher.update(fields.get()),
            Self::Raw { body, content_type, accept } => {
                hasher.update(content_type);
                hasher.update([0]);
                hasher.update(accept);
                hasher.update([0]);
                hasher.update(body);
            }
        }
        hasher.finalize().into()
    }
}

/// A call that waits for a worker, or is with one.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) call: Call,
    /// When its caller stops waiting.
    pub(super) deadline: Instant,
    /// When it came.
    pub(super) arrived: Instant,
    /// Whether a worker has died with it before.
    pub(super) is_retry: bool,
    /// How many workers that had it were killed from outside.
    pub(super) kills: u32,
    /// The request's hash, once somebody needed it.
    hash: OnceLock<Hash>,
    started: Arc<AtomicBool>,
    /// Nothing once the caller has its answer.
    answer: Option<oneshot::Sender<Result<Reply, Failure>>>,
}

/// The caller's end of a job.
pub(super) struct Ticket {
    started: Arc<AtomicBool>,
    pub(super) answer: oneshot::Receiver<Result<Reply, Failure>>,
}

impl Job {
    /// A job, and what its caller keeps of it.
    pub(super) fn new(call: Call, deadline: Instant) -> (Self, Ticket) {
        let (sender, answer) = oneshot::channel();
        let started = Arc::new(AtomicBool::new(false));
        let ticket = Ticket { started: Arc::clone(&started), answer };
        let arrived = Instant::now();
        let job = Self {
            call,
            deadline,
            arrived,
            is_retry: false,
            kills: 0,
            hash: OnceLock::new(),
            started,
            answer: Some(sender),
        };
        (job, ticket)
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
            || self.deadline <= Instant::now()
    }

    /// What the same request has again, reckoned only once.
    pub(super) fn hash(&self) -> Hash {
        *self.hash.get_or_init(|| self.call.hash())
    }

    /// Notes that a worker has it now.
    pub(super) fn start(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Notes that it waits again, because its worker died.
    pub(super) fn wait_again(&mut self) {
        self.is_retry = true;
        self.started.store(false, Ordering::Relaxed);
    }

    /// Gives the caller its answer, if it still waits and has none.
    pub(super) fn answer(&mut self, answer: Result<Reply, Failure>) {
        if let Some(caller) = self.answer.take() {
            let _ = caller.send(answer);
        }
    }
}

impl Ticket {
    /// Whether a worker has the job.
    pub(super) fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }
}
