//! Everything that was counted, on disk: each report's counts in a folder of their own, of which the
//! state names the last whole one. So a watch that is killed goes on from its last report.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::judge::Period;
use super::metrics::Missed;
use super::state::{Parameters, State};
use crate::error::Error;
use crate::merge;
use crate::outcome::Limits;
use crate::report::{self, Report, Run, Timing};
use crate::tally::Tally;
use crate::verdict;

/// The folder in that of the report.
const FOLDER: &str = "watch";
/// Locked by whoever counts.
const LOCK: &str = "lock";

/// All counts, and those of a period that aren't in the folder yet.
#[derive(Debug)]
pub(super) struct Total {
    out: PathBuf,
    folder: PathBuf,
    state: State,
    /// How long calls took before this run.
    timing_before: Option<Timing>,
    records_before: u64,
    pending: Option<Period>,
    _lock: File,
}

impl Total {
    /// Takes up what was begun in the folder, or begins.
    ///
    /// # Errors
    /// When it holds a watch of something else and `fresh` isn't asked for, or another process counts
    /// there.
    pub(super) async fn open(
        out: &Path,
        parameters: Parameters,
        fresh: bool,
    ) -> Result<Self, Error> {
        let folder = out.join(FOLDER);
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let lock = lock(&folder)?;
        let state = match State::read(&folder)?.filter(|_| !fresh) {
            Some(state) => state.again(out, &parameters)?,
            None => {
                verdict::prepare(out).await?;
                State::new(parameters)
            }
        };
        let (timing_before, records_before) = (state.timing.clone(), state.records);
        let (out, pending) = (out.to_owned(), None);
        let total =
            Self { out, folder, state, timing_before, records_before, pending, _lock: lock };
        total.clean()?;
        Ok(total)
    }

    /// Where counts are kept.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many records were compared until the last report.
    pub(super) fn records(&self) -> u64 {
        self.state.records
    }

    /// How many calls were not compared until then.
    pub(super) fn missed(&self) -> &BTreeMap<Missed, u64> {
        &self.state.missed
    }

    /// Adds a period to what is reported next, and all that was missed.
    pub(super) fn add(&mut self, period: Period, missed: BTreeMap<Missed, u64>) {
        self.state.missed = missed;
        self.state.timing = Some(match &self.timing_before {
            Some(before) => merge::one_after_the_other(before, &period.timing),
            None => period.timing.clone(),
        });
        self.state.records = self.records_before + period.compared;
        self.pending = Some(period);
    }

    /// Whether a period was added that could not be reported yet; another would take its place.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Writes the report on everything, after its counts.
    ///
    /// # Errors
    /// When the disk takes no more; a period that is still pending then is for the next report.
    pub(super) fn report(&mut self, limits: Limits) -> Result<Report, Error> {
        let (tally, reports) = (self.sum()?, self.state.reports + 1);
        let (_, mut report) = tally.sum_up(limits, self.run(), self.state.timing.clone())?;
        let missed = self.state.missed.iter().filter(|(_, calls)| **calls > 0);
        report.not_compared =
            missed.map(|(why, calls)| (why.in_words().to_owned(), *calls)).collect();
        let mut state = self.state.clone();
        state.reports = reports;
        state.write(&self.folder)?;
        self.state = state;
        self.pending = None;
        self.clean()?;
        report::write_all(&report, &self.out)?;
        report.verdict.write(&self.out)?;
        Ok(report)
    }

    /// The last report's counts and the period since then, saved in a folder of their own.
    fn sum(&mut self) -> Result<Tally, Error> {
        let next = self.counts(self.state.reports + 1);
        remove(&next)?;
        fs::create_dir_all(&next).map_err(Error::file(&next))?;
        let mut tally = Tally::new(&next);
        if self.state.reports > 0 {
            tally.absorb(&self.counts(self.state.reports))?;
        }
        if let Some(period) = &mut self.pending {
            tally.add_all(&mut period.tally)?;
        }
        tally.save()?;
        Ok(tally)
    }

    fn counts(&self, report: u64) -> PathBuf {
        self.folder.join(format!("counts-{report}"))
    }

    /// Removes the counts of other reports than the last, and what killed periods have left.
    fn clean(&self) -> Result<(), Error> {
        let last = self.counts(self.state.reports);
        for entry in fs::read_dir(&self.folder).map_err(Error::file(&self.folder))? {
            let path = entry.map_err(Error::file(&self.folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_old_period = name.starts_with("period-") && self.pending.is_none();
            if path != last && (name.starts_with("counts-") || is_old_period) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn run(&self) -> Run {
        let State { parameters, runs, .. } = &self.state;
        Run {
            command: "watch".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            records: parameters.upstream.clone(),
            target: parameters.target.clone(),
            rules: parameters.rules.clone(),
            noise: None,
            shard: None,
            started_at: runs.first().copied().unwrap_or_else(Timestamp::now),
            finished_at: Timestamp::now(),
            resumed: runs.len() as u64 - 1,
        }
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(Error::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(Error::file(&path)(error)),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Usage(format!("another watch is counting in `{}`", folder.display())))
        }
    }
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(folder)(error)),
        _ => Ok(()),
    }
}
