//! A call under way, whose record is made when its last part has passed.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use super::recorder::Desk;
use crate::caller::chain;

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// To the upstream.
    Request,
    /// From it.
    Answer,
}

/// What is kept of a request's head.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    /// The HTTP method.
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    /// The `Content-Type` header, where there is one.
    pub(super) content_type: Option<String>,
    /// The headers that are to be recorded.
    pub(super) headers: BTreeMap<String, String>,
    /// The headers that name model and client, where headers do.
    pub(super) names: [Option<String>; 2],
}

/// What is kept of an answer's head.
#[derive(Debug, Clone)]
pub(super) struct AnswerHead {
    /// The HTTP status.
    pub(super) status: u16,
    /// The `Content-Type` header, where there is one.
    pub(super) content_type: Option<String>,
    /// The headers that are to be recorded.
    pub(super) headers: BTreeMap<String, String>,
}

/// A call; what holds it is whatever still may bring a part of it.
#[derive(Debug)]
pub(super) struct Call {
    desk: Desk,
    begun: Instant,
    captured_at: Timestamp,
    head: Head,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    request: Copied,
    answer_head: Option<AnswerHead>,
    answer: Copied,
    latency_us: Option<u64>,
    /// What went wrong first.
    fault: Option<Fault>,
    /// No memory was left for copying it.
    is_lost: bool,
}

/// Why a call has no answer that is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// The upstream gave none, or not all of it, to a request that is known: so it answers.
    Unanswered(String),
    /// Nobody knows how the upstream would have answered, or what exactly it was asked.
    Incomplete(String),
}

/// A body as far as it passed.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// At most as much as is recorded.
    pub(super) bytes: Vec<u8>,
    /// Whether there was more.
    pub(super) is_truncated: bool,
    has_ended: bool,
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Taken {
    /// When its request came.
    pub(super) captured_at: Timestamp,
    /// The request without its body.
    pub(super) head: Head,
    /// The request's body.
    pub(super) request: Copied,
    /// The answer without its body, if one came.
    pub(super) answer_head: Option<AnswerHead>,
    /// The answer's body.
    pub(super) answer: Copied,
    /// From the request's head to the answer's end.
    pub(super) latency_us: Option<u64>,
    /// What went wrong.
    pub(super) fault: Option<Fault>,
}

impl Copied {
    /// Whether it is all of the body.
    pub(super) fn is_whole(&self) -> bool {
        self.has_ended && !self.is_truncated
    }
}

impl Taken {
    /// How much memory its bodies take.
    pub(super) fn held(&self) -> usize {
        self.request.bytes.len() + self.answer.bytes.len()
    }
}

impl Call {
    /// A call begins with its request's head.
    pub(super) fn new(head: Head, desk: &Desk) -> Self {
        desk.enter();
        let (begun, captured_at) = (Instant::now(), Timestamp::now());
        Self { desk: desk.clone(), begun, captured_at, head, parts: Mutex::default() }
    }

    /// The answer's head came.
    pub(super) fn answer(&self, head: AnswerHead) {
        self.parts().answer_head = Some(head);
    }

    /// No answer came.
    pub(super) fn fail(&self, fault: String) {
        let mut parts = self.parts();
        parts.latency_us = Some(self.elapsed_us());
        parts.fault.get_or_insert(Fault::Unanswered(fault));
    }

    /// A part of a body passed.
    pub(super) fn copy(&self, side: Side, data: &[u8]) {
        let mut parts = self.parts();
        if parts.is_lost {
            return;
        }
        let copied = parts.side(side);
        let room = self.desk.max_body() - copied.bytes.len();
        let kept = &data[..data.len().min(room)];
        if self.desk.reserve(kept.len()) {
            copied.is_truncated |= kept.len() < data.len();
            copied.bytes.extend_from_slice(kept);
        } else {
            self.desk.release(parts.held());
            parts.is_lost = true;
            (parts.request.bytes, parts.answer.bytes) = (Vec::new(), Vec::new());
        }
    }

    /// A body has passed whole.
    pub(super) fn end(&self, side: Side) {
        let mut parts = self.parts();
        if side == Side::Answer && parts.latency_us.is_none() {
            parts.latency_us = Some(self.elapsed_us());
        }
        parts.side(side).has_ended = true;
    }

    /// A body broke off.
    pub(super) fn cut(&self, side: Side, error: &hyper::Error) {
        let reason = chain(error);
        let fault = match side {
            Side::Request => {
                Fault::Incomplete(format!("the client broke off its request: {reason}"))
            }
            Side::Answer => {
                Fault::Unanswered(format!("the upstream broke off its answer: {reason}"))
            }
        };
        self.parts().fault.get_or_insert(fault);
    }

    /// Nobody asks for the rest of a body any more.
    pub(super) fn leave(&self, side: Side) {
        let mut parts = self.parts();
        if !parts.side(side).has_ended && side == Side::Answer {
            let fault = "the client went away before the end of the answer";
            parts.fault.get_or_insert_with(|| Fault::Incomplete(fault.to_owned()));
        }
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn side(&mut self, side: Side) -> &mut Copied {
        match side {
            Side::Request => &mut self.request,
            Side::Answer => &mut self.answer,
        }
    }

    fn held(&self) -> usize {
        self.request.bytes.len() + self.answer.bytes.len()
    }

    /// What went wrong, if anything did. A request that did not come whole can't be sent again,
    /// whatever became of its answer.
    fn fault(&mut self) -> Option<Fault> {
        let unread = "the answer came before the whole request was read";
        match self.fault.take() {
            Some(Fault::Unanswered(reason)) if !self.request.has_ended => {
                Some(Fault::Incomplete(reason))
            }
            Some(fault) => Some(fault),
            None if self.answer_head.is_none() => {
                Some(Fault::Incomplete("the client went away before the answer".to_owned()))
            }
            None if !self.request.has_ended => Some(Fault::Incomplete(unread.to_owned())),
            None => None,
        }
    }
}

impl Drop for Call {
    /// Whatever held it is gone, so nothing more will come.
    fn drop(&mut self) {
        let mut parts = mem::take(&mut *self.parts());
        if parts.is_lost {
            self.desk.lose();
        } else {
            let fault = parts.fault();
            self.desk.hand_over(Taken {
                captured_at: self.captured_at,
                head: mem::take(&mut self.head),
                request: parts.request,
                answer_head: parts.answer_head,
                answer: parts.answer,
                latency_us: parts.latency_us,
                fault,
            });
        }
        self.desk.leave();
    }
}
