//! One container: a process of its own that serves one model on a loopback port.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::artifact::ModelSource;
use crate::attempt::START_LIMIT;
use crate::connections::Connections;
use crate::home::{Home, Temporary};
use crate::image::{Contract, Program};
use crate::leftover::Note;
use crate::machine::Machine;
use crate::memory::{Limit, Usage};
use crate::output::Output;
use crate::ports::Port;
use crate::process_group::ProcessGroup;
use crate::reason::Reason;
use crate::record::Variant;
use crate::resource_name::ResourceName;

/// The pause between two pings at first; it bounds what the host adds to a cold start.
const PING_PAUSE: Duration = Duration::from_millis(3);

/// The longest pause between two pings.
const PING_PAUSE_LIMIT: Duration = Duration::from_millis(100);

/// How long a container may take to end after SIGTERM, as on SageMaker.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Tells the built-in container to end with its standard input, that is, with the host.
const LIFELINE: &str = "LIFELINE";

/// Tells containers made for SageMaker where to listen.
const PORT: &str = "SAGEMAKER_BIND_TO_PORT";

/// Tell containers that are no images where their model is, which images have in `/opt/ml/model`.
const MODEL_DIRS: [&str; 2] = ["MODEL_DIR", "SM_MODEL_DIR"];

/// Where containers put what they need for a moment; a model may name another place.
const TEMPORARY: &str = "TMPDIR";

/// Runs what is no container of the host's own.
const SHELL: &str = "/bin/sh";

/// Becomes the program that follows, in whose process group it leaves behind a shell that waits for
/// the end of standard input, which comes with the end of the host, and then kills that group. The
/// shell is no child of the program, which may wait for its own, and outlives the SIGTERM that the
/// program may take its time over.
const TETHER: &str = "exec 3<&0; \
    ( (trap '' TERM; read -r _; kill -s KILL 0) <&3 3<&- >/dev/null 2>&1 & ); \
    exec 3<&-; exec \"$0\" \"$@\"";

/// What to run for an endpoint.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The endpoint, for log lines.
    pub(crate) endpoint: ResourceName,
    /// The variant, with its size.
    pub(crate) variant: Variant,
    /// The program that runs its image, or why there is none.
    pub(crate) program: Result<Arc<Program>, Reason>,
    /// Where it runs.
    pub(crate) machine: Arc<Machine>,
    /// The model.
    pub(crate) model: ModelSource,
    /// The variant's own folder.
    pub(crate) home: Home,
    /// The whole environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A running container; dropping it kills its processes.
#[derive(Debug)]
pub(crate) struct Container {
    /// The process.
    child: Child,
    /// The process and those that it starts.
    group: ProcessGroup,
    /// What it prints.
    output: Output,
    /// What it may use.
    limit: Limit,
    /// Where it was told to listen, if it was.
    port: Option<Port>,
    /// Its standard input, on which nothing ever comes but the end, when the host is gone.
    _lifeline: Option<ChildStdin>,
    /// Where it works.
    work: Option<Temporary>,
    /// Lets the next host end it, if this one is killed.
    _note: Option<Note>,
}

impl Container {
    /// Starts the process on the model in a folder, which may take a while. It is in a process group
    /// of its own, so that a Ctrl-C in the host's terminal reaches the host alone and calls in flight
    /// can finish.
    pub(crate) fn spawn(launch: &Launch, model: &Path) -> Result<Self, Reason> {
        let program = launch.program.as_deref().map_err(Reason::clone)?;
        let port = match program.contract {
            Contract::BuiltIn => None,
            Contract::SageMaker => Some(launch.machine.ports.take()),
        };
        let work = launch.home.new_work().map_err(|error| {
            Reason::new(format!("cannot create a folder for the container: {error}"))
        })?;
        let mut command = command(launch, program, model, port.as_ref());
        command.current_dir(work.path());
        if !launch.environment.contains_key(TEMPORARY) {
            command.env(TEMPORARY, work.path());
        }
        let mut child = command.spawn().map_err(|error| {
            let program = program.command.program.display();
            Reason::new(format!("cannot run `{program}`: {error}"))
        })?;
        let group = ProcessGroup::led_by(&child);
        let size = launch.variant.serverless_config.memory_size_in_mb;
        let limit = launch.machine.memory.limit(group.id(), size);
        let note = launch.home.note(group.id(), limit.group());
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let output = Output::read(&launch.endpoint, stdout, stderr);
        let lifeline = child.stdin.take();
        Ok(Self {
            child,
            group,
            output,
            limit,
            port,
            _lifeline: lifeline,
            work: Some(work),
            _note: note,
        })
    }

    /// Waits until the container answers `/ping` with 200 where it was told to listen, or says that
    /// it does; until then at the latest.
    pub(crate) async fn ready(&mut self, until: Instant) -> Result<Connections, Reason> {
        let start = answering(&mut self.output, self.port.as_ref());
        let ended = tokio::select! {
            ended = ended(&mut self.child, &self.group, &self.limit) => ended,
            started = timeout_at(until, start) => {
                return started.unwrap_or_else(|_| Err(self.too_slow()));
            }
        };
        Err(self.explain("before it was ready", ended).await)
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn exited(&mut self) -> io::Result<ExitStatus> {
        ended(&mut self.child, &self.group, &self.limit).await
    }

    /// What it uses.
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        self.limit.usage()
    }

    /// Says how the process ended, and what it printed last.
    pub(crate) async fn explain(&mut self, when: &str, ended: io::Result<ExitStatus>) -> Reason {
        if let Some(exceeded) = self.limit.usage().exceeded() {
            return exceeded;
        }
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        let tail = self.output.tail().await;
        Reason::new(format!("the container ended {when} ({how}); its last lines: {tail}"))
    }

    /// Kills the process, which does not listen any more.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks the process to end, and kills it if it does not.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if timeout(STOP_LIMIT, self.exited()).await.is_err() {
            self.signal(Signal::KILL);
            self.exited().await.ok();
        }
        let work = self.work.take();
        spawn_blocking(move || drop(work)).await.ok();
    }

    /// Signals the process and those it started; nothing once it has been reaped.
    fn signal(&self, signal: Signal) {
        if self.child.id().is_some() {
            self.group.signal(signal);
        }
    }

    fn too_slow(&self) -> Reason {
        let tail = self.output.tail_so_far();
        Reason::new(format!(
            "the container did not answer /ping with 200 within {START_LIMIT:?}; its last lines: {tail}"
        ))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn answering(output: &mut Output, port: Option<&Port>) -> Result<Connections, Reason> {
    let connections = match port {
        Some(port) => Connections::to(port.address()),
        None => Connections::to(parse_address(&output.address().await)?),
    };
    healthy(&connections).await;
    Ok(connections)
}

/// Pings more seldom the longer it takes, so that many slow starts do not slow each other down.
async fn healthy(connections: &Connections) {
    let begun = Instant::now();
    while !connections.are_healthy().await {
        sleep((begun.elapsed() / 32).clamp(PING_PAUSE, PING_PAUSE_LIMIT)).await;
    }
}

/// Waits until the leader ends, kills what it leaves behind, and only then reaps it.
async fn ended(leader: &mut Child, group: &ProcessGroup, limit: &Limit) -> io::Result<ExitStatus> {
    if leader.id().is_some() {
        group.leader_ended().await?;
        group.signal(Signal::KILL);
        limit.lift();
    }
    leader.wait().await
}

fn command(launch: &Launch, program: &Program, model: &Path, port: Option<&Port>) -> Command {
    let mut command = begin_command(program);
    command.args(&program.command.arguments).arg("serve");
    command.env_clear().envs(&launch.environment);
    match port {
        Some(port) => {
            command.envs(MODEL_DIRS.map(|name| (name, model))).env(PORT, port.to_string());
        }
        None => {
            command.arg("--model-dir").arg(model).args(["--listen", "127.0.0.1:0"]);
        }
    }
    command
        .envs(program.command.environment.iter().map(|(name, value)| (name, value)))
        .env(LIFELINE, "stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// What the host built ends with its lifeline by itself, and everything ends with a host that is the
/// first process of its namespace, which would have to reap the shells left to it.
fn begin_command(program: &Program) -> Command {
    let path = &program.command.program;
    let needs_none = program.contract == Contract::BuiltIn || std::process::id() == 1;
    if needs_none || !Path::new(SHELL).exists() {
        return Command::new(path);
    }
    let mut command = Command::new(SHELL);
    command.args(["-c", TETHER]).arg(path);
    command
}

/// Calls go to this machine only, whatever a container prints.
fn parse_address(announced: &str) -> Result<SocketAddr, Reason> {
    let address: Option<SocketAddr> = announced.trim_end_matches('/').parse().ok();
    address.filter(|address| address.ip().is_loopback()).ok_or_else(|| {
        Reason::new(format!("the container listens on `{announced}`, which is no loopback address"))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::{fixture, leftover};

    #[test]
    fn only_loopback_addresses_are_called() {
        assert!(parse_address("127.0.0.1:4711").is_ok());
        assert!(parse_address("[::1]:4711/").is_ok());
        for bad in ["0.0.0.0:80", "10.0.0.1:80", "localhost:80", "", "127.0.0.1"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_container_that_ignores_sigterm_is_killed() {
        let homes = tempfile::tempdir().unwrap();
        let script =
            "trap '' TERM; echo listening on http://127.0.0.1:9; while :; do sleep 1; done";
        let launch = fixture::shell(homes.path(), script);
        let mut container = Container::spawn(&launch, homes.path()).unwrap();
        let process = format!("/proc/{}", container.child.id().unwrap());
        container.output.address().await;
        tokio::time::pause();
        container.stop().await;
        assert!(!Path::new(&process).exists());
    }

    #[tokio::test]
    async fn what_a_container_started_ends_with_it() {
        let homes = tempfile::tempdir().unwrap();
        let launch = fixture::shell(homes.path(), "sleep 60 & echo $! > child; exit 3");
        let started = Instant::now();
        let mut container = Container::spawn(&launch, homes.path()).unwrap();
        container.exited().await.unwrap();
        let work = container.work.as_ref().unwrap().path();
        let child = fs::read_to_string(work.join("child")).unwrap();
        let state = format!("/proc/{}/stat", child.trim());
        while fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(started.elapsed() < Duration::from_secs(5), "process {child} still runs");
            sleep(PING_PAUSE).await;
        }
    }

    #[tokio::test]
    async fn a_program_that_knows_of_no_lifeline_ends_with_it_and_so_does_what_it_started() {
        let homes = tempfile::tempdir().unwrap();
        let script = "sleep 60 & echo $! > child; sleep 60; exit 3";
        let mut launch = fixture::shell(homes.path(), script);
        let program = launch.program.as_deref().unwrap().clone();
        launch.program = Ok(Arc::new(Program { contract: Contract::SageMaker, ..program }));
        let mut container = Container::spawn(&launch, homes.path()).unwrap();
        assert!(timeout(Duration::from_millis(300), container.exited()).await.is_err());
        // As when the host is killed.
        drop(container._lifeline.take());
        let ended = timeout(Duration::from_secs(20), container.exited()).await.unwrap();
        assert_eq!(ended.unwrap().signal(), Some(Signal::KILL.as_raw()));
    }

    #[tokio::test]
    async fn a_program_that_was_told_to_end_and_does_not_still_ends_with_its_lifeline() {
        let homes = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; while :; do sleep 1; done";
        let mut launch = fixture::shell(homes.path(), script);
        let program = launch.program.as_deref().unwrap().clone();
        launch.program = Ok(Arc::new(Program { contract: Contract::SageMaker, ..program }));
        let mut container = Container::spawn(&launch, homes.path()).unwrap();
        // Lets both shells begin to ignore it.
        assert!(timeout(Duration::from_millis(500), container.exited()).await.is_err());
        container.signal(Signal::TERM);
        assert!(timeout(Duration::from_millis(300), container.exited()).await.is_err());
        drop(container._lifeline.take());
        let ended = timeout(Duration::from_secs(20), container.exited()).await.unwrap();
        assert_eq!(ended.unwrap().signal(), Some(Signal::KILL.as_raw()));
    }

    #[tokio::test]
    async fn a_container_works_in_a_folder_of_its_own_which_goes_with_it() {
        let homes = tempfile::tempdir().unwrap();
        let script = "mkdir left; [ \"$TMPDIR\" = \"$PWD\" ] && exec sleep 60";
        let launch = fixture::shell(homes.path(), script);
        let mut one = Container::spawn(&launch, homes.path()).unwrap();
        let other = Container::spawn(&launch, homes.path()).unwrap();
        let folders = [&one, &other].map(|one| one.work.as_ref().unwrap().path().to_owned());
        assert_ne!(folders[0], folders[1]);
        assert!(timeout(Duration::from_millis(300), one.exited()).await.is_err());
        one.stop().await;
        assert!(!folders[0].exists() && folders[1].exists());
        other.stop().await;
    }

    #[tokio::test]
    async fn a_container_is_noted_while_it_runs_and_its_standard_input_stays_open() {
        let homes = tempfile::tempdir().unwrap();
        let launch = fixture::shell(homes.path(), "cat; exit 3");
        let mut container = Container::spawn(&launch, homes.path()).unwrap();
        assert!(timeout(Duration::from_millis(100), container.exited()).await.is_err());
        leftover::end_all(homes.path());
        let ended = container.exited().await.unwrap();
        assert_eq!(ended.signal(), Some(Signal::KILL.as_raw()));
    }
}
