//! A started container: its processes, its last words, and its certain end.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

/// How much of the output is kept.
const KEPT_BYTES: usize = 2 << 10;
/// How many lines of it are shown.
const SHOWN_LINES: usize = 5;
/// How long the last of it may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A variable that all processes of one container inherit.
const MARK: &str = "GATEHOUSE_CHECK";
/// A process that is killed may have started another meanwhile, so this is done again.
const ROUNDS: u32 = 100;
/// How long a killed process takes to be gone.
const ROUND: Duration = Duration::from_millis(5);
/// The user and group `nobody`.
const NOBODY: u32 = 65534;
/// Makes the root read-only for the rest of the command; /tmp stays as it is. Status 125: can't.
const READ_ONLY: &str =
    "mount --bind /tmp /tmp && mount -o remount,bind,ro / || exit 125; exec \"$@\"";

/// How to start a container.
#[derive(Clone, Copy, Default)]
pub(crate) struct Start<'a> {
    pub(crate) command: &'a [String],
    /// Whether `serve` is added.
    pub(crate) serve: bool,
    /// `SAGEMAKER_BIND_TO_PORT`.
    pub(crate) port: Option<u16>,
    pub(crate) guise: Guise,
}

/// Under what restriction.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Guise {
    #[default]
    Plain,
    /// As the user `nobody`.
    Nobody,
    /// With a read-only root file system.
    ReadOnly,
}

/// A container's processes; they are ended when this is dropped.
pub(crate) struct Process {
    child: Child,
    mark: String,
    output: Arc<Mutex<VecDeque<u8>>>,
    readers: JoinSet<Option<()>>,
}

/// Says no where processes can't be looked at.
pub(crate) fn supported() -> io::Result<()> {
    if Path::new("/proc/self/environ").exists() {
        return Ok(());
    }
    Err(io::Error::other("--command needs Linux and its /proc; use --url here"))
}

impl Process {
    pub(crate) fn start(start: Start<'_>) -> io::Result<Self> {
        let mark = Uuid::new_v4().to_string();
        let mut command = command(start);
        command.env(MARK, &mark).process_group(0).kill_on_drop(true).stdin(Stdio::null());
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let program = start.command.first().map_or("", String::as_str);
        let mut child = spawned.map_err(|error| {
            io::Error::new(error.kind(), format!("can't start `{program}`: {error}"))
        })?;
        let (output, mut readers) = (Arc::default(), JoinSet::new());
        readers.spawn(keep(child.stdout.take(), Arc::clone(&output)));
        readers.spawn(keep(child.stderr.take(), Arc::clone(&output)));
        Ok(Self { child, mark, output, readers })
    }

    /// How it ended, if it did; then its output is whole.
    pub(crate) async fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        // A process that it left may hold the stream open.
        let whole = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, whole).await;
        Some(status)
    }

    /// How it ended, if it does within the limit.
    pub(crate) async fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        timeout(limit, self.child.wait()).await.ok()?.ok()
    }

    /// Sends SIGTERM to the first process alone, as a container's end does.
    pub(crate) fn terminate(&self) {
        if let Some(leader) = self.leader() {
            let _ = kill_process(leader, Signal::TERM);
        }
    }

    /// The last lines of what it wrote, as one.
    pub(crate) fn last_words(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = output.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join(" | ")
    }

    /// Every process that lives and has inherited the mark.
    pub(crate) fn members(&self) -> Vec<Pid> {
        let mark = format!("{MARK}={}", self.mark);
        let is_marked = |pid: &Pid| {
            let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Pid::from_raw).filter(is_marked).collect()
    }

    fn leader(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once the leader is reaped, its number may be another's.
        if let Some(group) = self.leader() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for _ in 0..ROUNDS {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            for member in members {
                let _ = kill_process(member, Signal::KILL);
            }
            std::thread::sleep(ROUND);
        }
    }
}

/// What a process is called.
pub(crate) fn name(pid: Pid) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{} ({pid})", name.trim())
}

fn command(start: Start<'_>) -> Command {
    let isolated = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh"];
    let isolated = if start.guise == Guise::ReadOnly { isolated.as_slice() } else { &[] };
    let mut words = isolated.iter().copied().chain(start.command.iter().map(String::as_str));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(start.serve.then_some("serve"));
    match start.port {
        Some(port) => command.env("SAGEMAKER_BIND_TO_PORT", port.to_string()),
        None => command.env_remove("SAGEMAKER_BIND_TO_PORT"),
    };
    if start.guise == Guise::Nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Keeps the end of a stream.
async fn keep(
    stream: Option<impl AsyncRead + Unpin>,
    output: Arc<Mutex<VecDeque<u8>>>,
) -> Option<()> {
    let mut stream = stream?;
    let mut bytes = vec![0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut bytes).await {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.extend(&bytes[..length]);
        let excess = output.len().saturating_sub(KEPT_BYTES);
        output.drain(..excess);
    }
    Some(())
}
