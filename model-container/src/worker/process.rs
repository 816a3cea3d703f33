//! One running worker process: lines go in, lines come out, and its end is noticed at once.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::call::Call;
use super::group::ProcessGroup;
use super::wire::{self, MAX_LINE_BYTES, Spoken};

/// Longer lines of standard error are broken up.
const LOG_LINE_BYTES: u64 = 16 << 10;
/// So much of the last one is quoted.
const QUOTED_CHARS: usize = 300;
/// How many replies may wait to be looked at.
const REPLIES: usize = 16;
/// How long the rest of a dead worker's output may take to arrive.
const OUTPUT_WAIT: Duration = Duration::from_millis(200);
/// How long a worker has to end once it closed its standard output, or we its standard input.
const CLOSED_WAIT: Duration = Duration::from_secs(1);
/// How long it has from SIGTERM to SIGKILL.
const TERM_WAIT: Duration = Duration::from_secs(2);

/// A worker process; dropping it kills it with all that it started.
pub(super) struct Process {
    group: Arc<ProcessGroup>,
    requests: mpsc::UnboundedSender<Vec<u8>>,
    spoken: mpsc::Receiver<Spoken>,
    ended: oneshot::Receiver<Death>,
    last_id: u64,
    started: Instant,
    /// How long it took from its start until it had passed its canaries.
    pub(super) start_took: Duration,
}

/// How a worker ended.
#[derive(Debug)]
pub(super) struct Death {
    /// A sentence's predicate.
    pub(super) how: String,
    /// Whether somebody else sent SIGKILL, and not for want of memory.
    pub(super) is_foreign: bool,
}

/// What happens to a worker.
pub(super) enum Event {
    /// It printed a line.
    Spoken(Spoken),
    /// It ended.
    Ended(Death),
}

impl Process {
    /// Starts a process and the tasks that read and write for it; `tasks` end when it has ended.
    pub(super) fn spawn(command: &mut Command, tasks: &TaskTracker) -> Result<Self, String> {
        let mut child = command.spawn().map_err(|error| {
            let program = command.as_std().get_program().display().to_string();
            format!("can't be started: `{program}`: {error}")
        })?;
        let group = Arc::new(ProcessGroup::led_by(&child));
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let (requests, lines) = mpsc::unbounded_channel();
        let (speaker, spoken) = mpsc::channel(REPLIES);
        let (end, ended) = oneshot::channel();
        tokio::spawn(write(stdin, lines));
        tokio::spawn(read(stdout, speaker, Arc::clone(&group)));
        tasks.spawn(watch(child, Arc::clone(&group), stderr, end));
        let (started, start_took) = (Instant::now(), Duration::ZERO);
        Ok(Self { group, requests, spoken, ended, last_id: 0, started, start_took })
    }

    /// Notes that it has passed its canaries for the first time.
    pub(super) fn has_started(&mut self) {
        self.start_took = self.started.elapsed();
    }

    /// The process's id.
    pub(super) fn id(&self) -> i32 {
        self.group.id.as_raw_nonzero().get()
    }

    /// Sends a request, and returns the id that its reply will have.
    ///
    /// A process that has ended or does not read is noticed elsewhere.
    pub(super) fn send(&mut self, call: &Call) -> u64 {
        self.last_id += 1;
        let _ = self.requests.send(wire::request(self.last_id, call));
        self.last_id
    }

    /// Waits for what happens next; nothing is lost where this future is dropped early.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            biased;
            Some(spoken) = self.spoken.recv() => Event::Spoken(spoken),
            death = &mut self.ended => {
                let unseen = |_| Death { how: "ended unseen".to_owned(), is_foreign: false };
                Event::Ended(death.unwrap_or_else(unseen))
            }
        }
    }

    /// What a process that has ended had still printed.
    pub(super) async fn last_words(&mut self) -> Option<Spoken> {
        timeout(OUTPUT_WAIT, self.spoken.recv()).await.ok().flatten()
    }

    /// The resident memory of the group's leader, in MiB.
    pub(super) fn rss_mb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib >> 10)
    }

    /// Kills it with all that it started.
    pub(super) fn kill(&self) {
        self.group.signal(Signal::KILL);
    }

    /// Closes its standard input, which asks it to end; then asks by SIGTERM, then kills it.
    pub(super) async fn end(mut self) {
        let (closed, _) = mpsc::unbounded_channel();
        self.requests = closed;
        // What it still prints must not block it.
        self.spoken.close();
        if timeout(CLOSED_WAIT, &mut self.ended).await.is_ok() {
            return;
        }
        self.group.signal(Signal::TERM);
        if timeout(TERM_WAIT, &mut self.ended).await.is_err() {
            self.kill();
            let _ = (&mut self.ended).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// Reads replies until standard output ends, upon which a worker has no more to live for.
async fn read(stdout: ChildStdout, speaker: mpsc::Sender<Spoken>, group: Arc<ProcessGroup>) {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut lines, &mut line).await {
        // Where nobody listens any more, the pipe is still to be emptied.
        let _ = speaker.send(wire::parse(line.trim_ascii())).await;
    }
    drop(speaker);
    sleep(CLOSED_WAIT).await;
    group.signal(Signal::KILL);
}

/// Reads a line into `line`, of an endless one no more than shows that it is too long.
async fn next_line(
    lines: &mut BufReader<impl AsyncRead + Unpin>,
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    line.clear();
    let limit = MAX_LINE_BYTES as u64 + 2;
    let read = lines.take(limit).read_until(b'\n', line).await?;
    let mut rest = Vec::new();
    let mut is_whole = line.ends_with(b"\n") || (read as u64) < limit;
    while !is_whole {
        rest.clear();
        let read = lines.take(LOG_LINE_BYTES).read_until(b'\n', &mut rest).await?;
        is_whole = read == 0 || rest.ends_with(b"\n");
    }
    Ok(read > 0)
}

/// Waits for the end of a process and says how it was.
async fn watch(
    mut child: Child,
    group: Arc<ProcessGroup>,
    stderr: ChildStderr,
    end: oneshot::Sender<Death>,
) {
    let last_line = Arc::new(Mutex::new(String::new()));
    let mut log =
        tokio::spawn(forward(stderr, group.id.as_raw_nonzero().get(), Arc::clone(&last_line)));
    let oom_kills_before = oom_kills();
    let (how, is_sigkill) = match group.ended(&mut child).await {
        Ok(status) => (describe(status), status.signal() == Some(Signal::KILL.as_raw())),
        Err(error) => (format!("can't be watched: {error}"), false),
    };
    let is_foreign = is_sigkill && !group.was_killed() && oom_kills() == oom_kills_before;
    finish(&mut log).await;
    let last_line = last_line.lock().expect("keeping a line does not panic").clone();
    let said = if last_line.is_empty() { String::new() } else { format!(" (`{last_line}`)") };
    let _ = end.send(Death { how: format!("{how}{said}"), is_foreign });
    group.reap_orphans().await;
}

/// How many processes of this container the kernel has killed for want of memory, where it says.
fn oom_kills() -> Option<u64> {
    let events = std::fs::read_to_string("/sys/fs/cgroup/memory.events").ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// Waits for the last lines; a process that left the group may hold the pipe open for ever.
async fn finish(log: &mut JoinHandle<()>) {
    if timeout(OUTPUT_WAIT, &mut *log).await.is_err() {
        log.abort();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(code)) => format!("exited with status {code}"),
        (None, None) => status.to_string(),
    }
}

/// Puts the lines of standard error into our log, and keeps the last.
async fn forward(stderr: ChildStderr, pid: i32, last_line: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut lines).take(LOG_LINE_BYTES).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        tracing::info!(target: "worker", pid, "{text}");
        if !text.is_empty() {
            let quoted = text.chars().take(QUOTED_CHARS).collect();
            *last_line.lock().expect("keeping a line does not panic") = quoted;
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_is_read_to_its_end_and_cut() {
        let mut bytes = vec![b'x'; MAX_LINE_BYTES + 100_000];
        bytes.extend_from_slice(b"\nnext\nlast");
        let mut lines = BufReader::new(bytes.as_slice());
        let mut line = Vec::new();
        assert!(next_line(&mut lines, &mut line).await.unwrap());
        assert_eq!(line.len(), MAX_LINE_BYTES + 2);
        for expected in [&b"next\n"[..], b"last"] {
            assert!(next_line(&mut lines, &mut line).await.unwrap());
            assert_eq!(line, expected);
        }
        assert!(!next_line(&mut lines, &mut line).await.unwrap());
    }
}
