//! Compares answers, counts what that shows, and writes them down.

use std::sync::Arc;

use super::answers::{Log, Outcome};
use super::engine::Bench;
use super::progress::Progress;
use super::recall::Captured;
use super::timing::Times;
use crate::compare::Case;
use crate::difference::Difference;
use crate::error::Error;
use crate::record::Numbered;
use crate::rules::Rules;
use crate::tally::{Finding, Tally};

/// What one replay shows.
#[derive(Debug)]
pub(super) struct Judge {
    rules: Arc<Rules>,
    tally: Tally,
    times: Times,
    progress: Arc<Progress>,
    log: Log,
    /// Whether only some of the records are compared.
    is_partial: bool,
}

impl Judge {
    /// Counts in the tally, and writes down further answers.
    pub(super) fn new(
        tally: Tally,
        rules: Arc<Rules>,
        times: Times,
        progress: Arc<Progress>,
        log: Log,
    ) -> Self {
        Self { rules, tally, times, progress, log, is_partial: false }
    }

    /// Of which only some of the records are compared.
    pub(super) fn partial(self, is_partial: bool) -> Self {
        Self { is_partial, ..self }
    }

    /// What it counts for people.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Counts an answer that has been written down already.
    pub(super) fn count(&mut self, captured: &Captured, outcome: &Outcome) -> Result<(), Error> {
        let Numbered { sequence, record, .. } = &captured.numbered;
        let differences = differences(captured, outcome, &self.rules);
        let finding = Finding { sequence: *sequence, record, new: &outcome.reply, differences };
        self.progress.add(finding.is_mismatch());
        self.times.add(outcome, &record.reply);
        self.tally.add(&finding)
    }

    /// What was counted, once all answers are on disk.
    pub(super) fn end(mut self) -> Result<(Tally, Times), Error> {
        self.log.sync()?;
        // A part of the records may lack what a rule is about.
        if !self.is_partial && !self.is_done() {
            self.rules.check_all_were_met()?;
        }
        Ok((self.tally, self.times))
    }
}

impl Bench for Judge {
    fn take(&mut self, captured: &Captured, outcome: &Outcome) -> Result<(), Error> {
        let Numbered { sequence, record, .. } = &captured.numbered;
        self.log.append(*sequence, record, outcome)?;
        self.count(captured, outcome)
    }

    fn rest(&mut self) -> Result<(), Error> {
        self.log.flush()
    }

    fn is_done(&self) -> bool {
        self.tally.known_outcome().is_some()
    }
}

/// How an answer differs from the captured one.
pub(super) fn differences(
    captured: &Captured,
    outcome: &Outcome,
    rules: &Rules,
) -> Vec<Difference> {
    let record = &captured.numbered.record;
    let case = Case {
        model: &record.model,
        client: record.client.as_deref(),
        old: &record.reply,
        new: &outcome.reply,
        noise: captured.noise.as_ref(),
    };
    case.differences(rules)
}
