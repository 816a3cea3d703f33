//! Writes the report again and again while the watch goes on.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use super::judge::{Message, Period};
use super::metrics::{Metrics, Missed};
use super::total::Total;
use crate::capture;
use crate::error::Error;
use crate::outcome::Limits;
use crate::report::Report;

/// How many times longer than a report takes it is until the next.
const REST: u32 = 19;

/// One who writes reports.
pub(super) struct Reporter {
    total: Arc<Mutex<Total>>,
    judge: Sender<Message>,
    limits: Limits,
    metrics: Arc<Metrics>,
    copied: Arc<capture::Metrics>,
    /// How many of the calls that the proxy couldn't copy were counted.
    uncopied: u64,
}

impl Reporter {
    /// Reports what the judge counts on top of the total.
    pub(super) fn new(
        total: Total,
        judge: Sender<Message>,
        limits: Limits,
        metrics: Arc<Metrics>,
        copied: Arc<capture::Metrics>,
    ) -> Self {
        metrics.resume_missed(total.missed());
        let total = Arc::new(Mutex::new(total));
        Self { total, judge, limits, metrics, copied, uncopied: 0 }
    }

    /// Goes on from the report of an earlier watch. Where there is none, one is written; to do so
    /// always would take a while, for which callers would wait.
    ///
    /// # Errors
    /// When what it left can't be read, or the folder can't be written to.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        let last = self.total().last_report(self.limits);
        let report = match last {
            Some(report) => report,
            None => self.write().await?,
        };
        self.metrics.show(&report);
        self.metrics.resume(&report.verdict);
        Ok(())
    }

    /// Reports now and then. What can't be written is told and tried again: callers come first.
    pub(super) async fn report_until(&mut self, end: impl Future<Output = ()>, every: Duration) {
        let (mut end, mut pause) = (pin!(end), every);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = tokio::time::sleep(pause) => {}
            }
            let begun = Instant::now();
            if let Err(error) = self.report().await {
                // A closed standard error leaves nobody to tell.
                let _ = writeln!(io::stderr(), "watch: no new report: {error}");
            }
            pause = every.max(REST * begun.elapsed());
        }
    }

    /// The last report, which is written, too.
    ///
    /// # Errors
    /// When it can't be.
    pub(super) async fn end(mut self) -> Result<Report, Error> {
        if self.total().is_pending() {
            self.write().await?;
        }
        let period = self.period().await?;
        self.metrics.miss_rest(period.compared);
        self.add(period);
        self.write().await
    }

    /// Until a period is written, the judge goes on with the next: so memory stays as it is.
    async fn report(&mut self) -> Result<Report, Error> {
        if !self.total().is_pending() {
            let period = self.period().await?;
            self.add(period);
        }
        self.write().await
    }

    async fn period(&self) -> Result<Period, Error> {
        let (give, period) = oneshot::channel();
        let ended = || Error::Data("the comparison has ended; calls are only passed on".to_owned());
        self.judge.send(Message::HandOver(give)).await.map_err(|_| ended())?;
        period.await.map_err(|_| ended())
    }

    fn add(&mut self, period: Period) {
        let lost = self.copied.lost();
        self.metrics.miss_all(Missed::Uncopied, lost - self.uncopied);
        self.uncopied = lost;
        self.total().add(period, self.metrics.missed());
    }

    fn total(&self) -> MutexGuard<'_, Total> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self) -> Result<Report, Error> {
        let (total, limits) = (Arc::clone(&self.total), self.limits);
        // All of it takes time and files, for which those who serve callers must not wait.
        let working = tokio::task::spawn_blocking(move || {
            total.lock().unwrap_or_else(PoisonError::into_inner).report(limits)
        });
        let report =
            working.await.map_err(|error| Error::Data(format!("no report: {error}")))??;
        self.metrics.show(&report);
        Ok(report)
    }
}
