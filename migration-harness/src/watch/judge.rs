//! Compares answers in a thread of its own, and counts what that shows period by period, so that one
//! period can be reported while the next is counted.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::entrance::Waiting;
use super::metrics::{Metrics, Missed};
use super::total::Total;
use crate::compare::Case;
use crate::replay::{Outcome, Times};
use crate::report::Timing;
use crate::rules::Rules;
use crate::tally::{Finding, Tally};

/// How many answers may wait to be compared.
const MAX_ANSWERED: usize = 64;

/// A record and what the target answered.
pub(super) struct Answered {
    /// The record.
    pub(super) waiting: Waiting,
    /// What came of asking the target.
    pub(super) outcome: Outcome,
    /// Free again once the two have been compared.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What a judge is asked.
pub(super) enum Message {
    /// To compare.
    Answered(Box<Answered>),
    /// To hand over what was counted since it was asked last.
    HandOver(oneshot::Sender<Period>),
}

/// What was counted between two reports.
#[derive(Debug)]
pub(super) struct Period {
    /// What was found.
    pub(super) tally: Tally,
    /// How long calls took since the judge was made.
    pub(super) timing: Timing,
    /// How many were compared since then.
    pub(super) compared: u64,
}

/// One who compares.
pub(super) struct Judge {
    rules: Arc<Rules>,
    metrics: Arc<Metrics>,
    /// The folder of the period that is counted, and that of the other.
    folders: [PathBuf; 2],
    tally: Tally,
    times: Times,
    before: u64,
    compared: u64,
}

impl Judge {
    /// Goes on behind what the total holds.
    pub(super) fn new(total: &Total, rules: Arc<Rules>, metrics: Arc<Metrics>) -> Self {
        let folders = total.periods();
        let tally = Tally::new(&folders[0]);
        let times = Times::new(&[Timestamp::now()]);
        let before = total.records();
        Self { rules, metrics, folders, tally, times, before, compared: 0 }
    }

    /// Begins to take messages, until nobody sends any more.
    pub(super) fn start(self) -> Sender<Message> {
        let (sender, messages) = mpsc::channel(MAX_ANSWERED);
        drop(tokio::task::spawn_blocking(move || self.run(messages)));
        sender
    }

    fn run(mut self, mut messages: Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Answered(answered) => self.compare(&answered),
                // Whoever doesn't wait any more is told by whoever comes next.
                Message::HandOver(taker) => drop(taker.send(self.hand_over())),
            }
        }
    }

    fn compare(&mut self, Answered { waiting, outcome, .. }: &Answered) {
        let record = &waiting.record;
        let case = Case {
            model: &record.model,
            client: record.client.as_deref(),
            old: &record.reply,
            new: &outcome.reply,
            noise: None,
        };
        let sequence = self.before + self.compared;
        let differences = case.differences(&self.rules);
        let finding = Finding { sequence, record, new: &outcome.reply, differences };
        if self.tally.add(&finding).is_err() {
            // The disk is full, say: the calls must go on, and so does what can be counted.
            return self.metrics.miss(Missed::Disk);
        }
        self.compared += 1;
        self.times.add(outcome, &record.reply);
        self.metrics.compare(record, &outcome.reply, finding.is_mismatch());
    }

    fn hand_over(&mut self) -> Period {
        self.folders.swap(0, 1);
        let tally = mem::replace(&mut self.tally, Tally::new(&self.folders[0]));
        Period { tally, timing: self.times.sum_up(), compared: self.compared }
    }
}
