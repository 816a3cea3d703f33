//! What a deployment tells while it goes on.

use std::time::{Duration, Instant};

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step is done, after this time.
    Done(String, Duration),
    /// Something to know, such as what is being waited for.
    Note(String),
}

/// Tells events, and takes the time of steps.
pub(crate) struct Reporter<'a> {
    report: &'a mut (dyn FnMut(Event) + Send),
    started: Instant,
}

impl<'a> Reporter<'a> {
    /// Tells `report`; the first step begins now.
    pub(crate) fn new(report: &'a mut (dyn FnMut(Event) + Send)) -> Self {
        Self { report, started: Instant::now() }
    }

    /// A step is done, and the next begins.
    pub(crate) fn done(&mut self, step: impl Into<String>) {
        (self.report)(Event::Done(step.into(), self.started.elapsed()));
        self.started = Instant::now();
    }

    /// Something to know.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        (self.report)(Event::Note(text.into()));
    }
}
