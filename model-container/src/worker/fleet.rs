//! What the worker processes of one model share.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::Board;
use super::call::Job;
use super::contract::Contract;
use super::options::Options;
use super::probe::{Garbage, Probe};
use super::process::Process;
use super::quarantine::{Quarantine, TRIAL_PAUSE};
use super::queue::Queue;
use super::shipped::Shipped;
use crate::limits::{Environment, Limits};
use crate::metrics::Metrics;
use crate::package::Package;

/// How long a running process may take for its canaries; longer, if it started slowly.
const EXAMINATION: Duration = Duration::from_secs(10);

/// One model's workers, as seen by each of them.
pub(super) struct Fleet {
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) contract: Contract,
    pub(super) queue: Queue,
    pub(super) board: Board,
    pub(super) quarantine: Quarantine,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled when all are to end.
    pub(super) stop: CancellationToken,
    /// Everything that has to end before all have ended.
    pub(super) tasks: TaskTracker,
    probes: Vec<Probe>,
    /// Whether the probes are the package's own.
    has_canaries: bool,
    shipped: Shipped,
    dir: PathBuf,
    /// The home of a stranger's program, in place of ours.
    home: Option<TempDir>,
}

impl Fleet {
    pub(super) fn new(
        package: &Package,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let manifest = &package.manifest;
        let options = manifest.worker.clone().unwrap_or_default();
        Ok(Self {
            contract: Contract { labels: manifest.labels.clone(), is_raw: manifest.raw },
            queue: Queue::new(limits.queue, metrics.queue_length.clone()),
            board: Board::new(options.processes.get()),
            quarantine: Quarantine::default(),
            metrics: Arc::clone(metrics),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            probes: Probe::all(manifest)?,
            has_canaries: !manifest.canaries.is_empty(),
            shipped: Shipped::resolve(&manifest.command)?,
            dir: package.dir.clone(),
            home: (limits.environment == Environment::Bare).then(shelter).transpose()?,
            options,
            limits: *limits,
        })
    }

    /// Starts a process that has passed its canaries; the error is a sentence's predicate.
    pub(super) async fn start(&self) -> Result<Process, String> {
        let limit = self.options.start_timeout();
        let start = async {
            let mut process = Process::spawn(&mut self.command(), &self.tasks)?;
            self.ask_canaries(&mut process).await?;
            process.has_started();
            Ok(process)
        };
        let too_slow = |_| Err(format!("did not answer within {limit:?} of its start"));
        timeout(limit, start).await.unwrap_or_else(too_slow)
    }

    /// Asks a process that has no calls its canaries again; the error is a sentence's predicate.
    pub(super) async fn examine(&self, process: &mut Process) -> Result<(), String> {
        let limit = EXAMINATION.max(process.start_took * 4);
        let too_slow = |_| Err(format!("did not answer its canaries within {limit:?}"));
        timeout(limit, self.ask_canaries(process)).await.unwrap_or_else(too_slow)
    }

    /// Whether the package says what a process must answer.
    pub(super) fn has_canaries(&self) -> bool {
        self.has_canaries
    }

    /// Gives a job whose worker died to another after a pause, while somebody waits for it.
    pub(super) fn retry(self: &Arc<Self>, mut job: Job) {
        job.wait_again();
        let fleet = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = fleet.stop.cancelled() => {}
                () = sleep(TRIAL_PAUSE) => fleet.queue.push_front(job),
            }
        });
    }

    async fn ask_canaries(&self, process: &mut Process) -> Result<(), String> {
        let mut garbage = Garbage::default();
        self.probe(process, &mut garbage).await?;
        if garbage.was_seen {
            // That was a greeting, or the rest of a call's, if it does not come again.
            garbage.is_fatal = true;
            self.probe(process, &mut garbage).await?;
        }
        Ok(())
    }

    async fn probe(&self, process: &mut Process, garbage: &mut Garbage) -> Result<(), String> {
        for probe in &self.probes {
            probe.ask(process, &self.contract, garbage).await?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let (program, arguments) =
            self.shipped.command.split_first().expect("a worker's command is never empty");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(home) = &self.home {
            let passed = Environment::BARE.map(|name| (name, std::env::var_os(name)));
            let passed = passed.into_iter().filter_map(|(name, value)| Some((name, value?)));
            command.env_clear().envs(passed).env("HOME", home.path());
        }
        command
    }
}

/// Makes a home for a stranger's program, and keeps our environment from it: `/proc` shows that to
/// every program of the same user, but not that of a process that leaves no core. Nothing keeps
/// anything from the superuser's programs.
fn shelter() -> Result<TempDir, String> {
    let undone = |error| format!("nothing can be kept from the worker: {error}");
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| undone(error.into()))?;
    tempfile::Builder::new().prefix("gatehouse-home-").tempdir().map_err(undone)
}
