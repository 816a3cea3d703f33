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
/// How the names of folders begin that hold a report's counts.
const COUNTS: &str = "counts-";
/// The same of what a period has no room for in memory.
const PERIOD: &str = "period-";

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
        if fresh {
            State::remove(&folder)?;
        }
        let state = match State::read(&folder)? {
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
        total.clean(&[COUNTS, PERIOD])?;
        Ok(total)
    }

    /// Where periods keep what they have no room for in memory: the one that is counted, and the one
    /// that is written meanwhile.
    pub(super) fn periods(&self) -> [PathBuf; 2] {
        [0, 1].map(|number| self.folder.join(format!("{PERIOD}{number}")))
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

    /// The last report, if it is on all that was counted and on what is to be shown now.
    pub(super) fn last_report(&self, limits: Limits) -> Option<Report> {
        let is_current = |report: &Report| {
            report.limits == limits && report.verdict.records == self.state.records
        };
        report::read(&self.out).ok().filter(is_current)
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
        sync(&self.counts(reports))?;
        let mut state = self.state.clone();
        state.reports = reports;
        state.write(&self.folder)?;
        self.state = state;
        self.pending = None;
        // The next period is counted already, and may have files, too.
        self.clean(&[COUNTS])?;
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
        self.folder.join(format!("{COUNTS}{report}"))
    }

    /// Removes the folders whose names begin like that, but for the last report's counts.
    fn clean(&self, beginnings: &[&str]) -> Result<(), Error> {
        let last = self.counts(self.state.reports);
        for entry in fs::read_dir(&self.folder).map_err(Error::file(&self.folder))? {
            let path = entry.map_err(Error::file(&self.folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path != last && beginnings.iter().any(|beginning| name.starts_with(beginning)) {
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

/// The state must not name what a power cut would leave half written.
fn sync(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::file(path))? {
            sync(&entry.map_err(Error::file(path))?.path())?;
        }
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::file(path))
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Looks;
    use crate::replay::Times;
    use crate::tally::Finding;
    use crate::tally::tests::{LIMITS, record};

    fn parameters() -> Parameters {
        Parameters {
            upstream: "http://legacy".to_owned(),
            target: "http://target".to_owned(),
            headers: Vec::new(),
            rules: None,
            rules_digest: None,
        }
    }

    /// A period of one call, with its counts in the folder.
    fn period(folder: &Path) -> Period {
        let mut tally = Tally::new(folder);
        let record = record("1", "spam", "toybox", "call");
        let new = &record.reply;
        tally.add(&Finding { sequence: 0, record: &record, new, differences: vec![] }).unwrap();
        Period { tally, timing: Times::new(&[Timestamp::now()]).sum_up(), compared: 1 }
    }

    #[tokio::test]
    async fn a_report_leaves_alone_what_the_next_period_has_on_disk_and_a_start_does_not() {
        let out = tempfile::tempdir().unwrap();
        let mut total = Total::open(out.path(), parameters(), false).await.unwrap();
        let [one, next] = total.periods();
        fs::create_dir_all(next.join("parity-distinct")).unwrap();
        total.add(period(&one), BTreeMap::new());
        let report = total.report(Limits { looks: Looks::Anytime, ..LIMITS }).unwrap();
        assert_eq!(report.verdict.records, 1);
        assert!(next.join("parity-distinct").exists());
        drop(total);
        let total = Total::open(out.path(), parameters(), false).await.unwrap();
        assert!(total.records() == 1 && !next.exists());
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_given_up_where_that_is_asked_for() {
        let out = tempfile::tempdir().unwrap();
        drop(Total::open(out.path(), parameters(), false).await.unwrap());
        let state = out.path().join(FOLDER).join("watch.json");
        fs::write(&state, "{}").unwrap();
        let error = Total::open(out.path(), parameters(), false).await.unwrap_err();
        assert!(error.to_string().contains("`--fresh` gives it up"), "{error}");
        let total = Total::open(out.path(), parameters(), true).await.unwrap();
        // So a watch that is killed now leaves no state whose counts are gone.
        assert!(total.records() == 0 && !state.exists());
    }
}
