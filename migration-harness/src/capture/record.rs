//! Makes records of calls that have ended, redacts them, and brings them to where they belong.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::call::{AnswerHead, Fault, Taken};
use super::journal::Journal;
use super::redact::Policy;
use super::scope::Scope;
use crate::record::{Answer, INCOMPLETE, Record, Reply, Request};
use crate::watch::Entrance;

/// Says of a record by which rules it was redacted.
const REDACTION: &str = "redaction";

/// Where records go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Into files.
    Journal(Box<Journal>),
    /// To those who compare them at once.
    Comparison(Entrance),
}

/// Writes the calls that are to be recorded.
#[derive(Debug)]
pub(super) struct Writer {
    scope: Arc<Scope>,
    policy: Option<Policy>,
    max_body: usize,
    destination: Destination,
}

impl Writer {
    /// `max_body` is told in records of longer bodies.
    pub(super) fn new(
        scope: Arc<Scope>,
        policy: Option<Policy>,
        max_body: usize,
        destination: Destination,
    ) -> Self {
        Self { scope, policy, max_body, destination }
    }

    /// Writes a call, unless it is not among those to be recorded.
    pub(super) fn write(&mut self, call: Taken) {
        match self.record(call) {
            Some(record) => self.destination.take(record),
            None => self.destination.skip(),
        }
    }

    /// Sees to it that what was written is in a file.
    pub(super) fn flush(&mut self) {
        self.destination.flush();
    }

    /// Completes what was begun.
    pub(super) fn finish(self) {
        self.destination.finish();
    }

    fn record(&self, call: Taken) -> Option<Record> {
        let is_whole = call.request.is_whole();
        let fault = self.truncation(&call).or(call.fault);
        let mut unknown = Map::new();
        if matches!(fault, Some(Fault::Incomplete(_))) {
            unknown.insert(INCOMPLETE.to_owned(), true.into());
        }
        let head = call.head;
        let mut request = Request {
            method: head.method,
            path: head.path,
            content_type: head.content_type,
            headers: head.headers,
            body: call.request.bytes.into(),
        };
        if !self.scope.takes_request(&request) {
            return None;
        }
        let mut names = head.names;
        let mut answer = answer(call.answer_head, call.answer.bytes, fault);
        if let Some(policy) = &self.policy {
            names = names.map(|name| name.map(|name| policy.text(&name)));
            if policy.redact(&mut request, &mut answer, is_whole, self.max_body).is_err() {
                unknown.insert(INCOMPLETE.to_owned(), true.into());
            }
            unknown.insert(REDACTION.to_owned(), Value::from(policy.digest()));
        }
        let (model, client) = self.scope.names(names, &request)?;
        Some(Record {
            id: Uuid::now_v7().to_string(),
            captured_at: call.captured_at,
            model,
            client,
            request,
            reply: Reply { answer, latency_us: call.latency_us },
            unknown,
        })
    }

    /// A body that is longer than what is recorded of one.
    fn truncation(&self, call: &Taken) -> Option<Fault> {
        let bodies = [("request", &call.request), ("answer", &call.answer)];
        let (what, _) = bodies.into_iter().find(|(_, body)| body.is_truncated)?;
        Some(Fault::Incomplete(format!("the {what} is longer than {} bytes", self.max_body)))
    }
}

impl Destination {
    fn take(&mut self, record: Record) {
        match self {
            Self::Journal(journal) => journal.write(&record),
            Self::Comparison(entrance) => entrance.take(record),
        }
    }

    fn skip(&self) {
        match self {
            Self::Journal(journal) => journal.skip(),
            Self::Comparison(entrance) => entrance.skip(),
        }
    }

    fn flush(&mut self) {
        if let Self::Journal(journal) = self {
            journal.flush();
        }
    }

    fn finish(self) {
        if let Self::Journal(journal) = self {
            journal.finish();
        }
    }
}

/// An answer that can't be compared is none.
fn answer(head: Option<AnswerHead>, body: Vec<u8>, fault: Option<Fault>) -> Result<Answer, String> {
    match (head, fault) {
        (_, Some(Fault::Unanswered(reason) | Fault::Incomplete(reason))) => Err(reason),
        (Some(AnswerHead { status, content_type, headers }), None) => {
            Ok(Answer { status, content_type, headers, body: body.into() })
        }
        (None, None) => Err("no answer came".to_owned()),
    }
}
