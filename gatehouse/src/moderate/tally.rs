//! Counts verdicts and shows their progress on standard error.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

/// A bar over `input_bytes`, or a spinner where the input's size is unknown.
///
/// It is drawn only where standard error is a terminal.
pub(super) fn progress_bar(input_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match input_bytes {
        Some(bytes) => {
            (ProgressBar::new(bytes), "{wide_bar} {percent:>3}%  {msg} verdicts  {eta} left")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {msg} verdicts in {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the templates are valid"))
}

/// The verdicts so far.
pub(super) struct Tally {
    by_decision: BTreeMap<String, u64>,
    failed: u64,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    bar: ProgressBar,
    ends: Receiver<u64>,
    started: Instant,
}

/// What is needed of an answer's line to count it.
#[derive(Deserialize)]
struct Line {
    decision: Option<String>,
}

impl Tally {
    /// Starts counting; `ends` says how far into the input each line ends.
    pub(super) fn start(bar: ProgressBar, ends: Receiver<u64>) -> Self {
        Self {
            by_decision: BTreeMap::new(),
            failed: 0,
            partial: Vec::new(),
            bar,
            ends,
            started: Instant::now(),
        }
    }

    /// Counts the lines that end in these bytes of the router's answer.
    pub(super) fn count(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.count_line();
            }
        }
    }

    /// A line without a decision is a failure.
    fn count_line(&mut self) {
        match serde_json::from_slice(&self.partial) {
            Ok(Line { decision: Some(decision) }) => {
                *self.by_decision.entry(decision).or_default() += 1;
            }
            _ => self.failed += 1,
        }
        self.partial.clear();
        self.bar.set_message(self.lines().to_string());
        if let Ok(end) = self.ends.try_recv() {
            self.bar.set_position(end);
        }
    }

    /// How many lines came back.
    pub(super) fn lines(&self) -> u64 {
        self.failed + self.by_decision.values().sum::<u64>()
    }

    /// Writes the totals to standard error; returns how many lines came back, and failed.
    pub(super) fn finish(self) -> (u64, u64) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.lines() as f64 / seconds.max(1e-9);
        let counts = self.by_decision.iter().map(|(decision, count)| format!("{count} {decision}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let (lines, failed) = (self.lines(), self.failed);
        // A closed standard error must not turn a success into a failure.
        let _ = writeln!(
            io::stderr(),
            "{lines} lines in {seconds:.1} s ({rate:.0}/s): {counts}; {failed} failed"
        );
        (lines, failed)
    }
}
