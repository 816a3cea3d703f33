//! One container: a process of its own that serves one model on a loopback port.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::ContainerCommand;
use crate::app::ContainerClient;
use crate::artifact::Artifact;
use crate::home::Home;
use crate::output::Output;
use crate::reason::Reason;
use crate::resource_name::ResourceName;

/// Serverless containers must answer `/ping` within three minutes:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
const START_LIMIT: Duration = Duration::from_secs(180);

/// One `/ping` may take two seconds:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html>
const PING_LIMIT: Duration = Duration::from_secs(2);

/// The pause between two pings; it bounds what the host adds to a cold start.
const PING_PAUSE: Duration = Duration::from_millis(3);

/// How long a container may take to end after SIGTERM, as on SageMaker.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What to run for an endpoint.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The endpoint, for log lines.
    pub(crate) endpoint: ResourceName,
    /// The program.
    pub(crate) command: ContainerCommand,
    /// The model.
    pub(crate) artifact: Artifact,
    /// The endpoint's own folder.
    pub(crate) home: Home,
    /// The whole environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A running container; dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Container {
    /// The process.
    child: Child,
    /// What it prints.
    output: Output,
}

impl Container {
    /// Starts the process in a process group of its own, so that a Ctrl-C in the host's terminal
    /// reaches the host alone and calls in flight can finish.
    pub(crate) fn spawn(launch: &Launch) -> Result<Self, Reason> {
        let mut child = command(launch).spawn().map_err(|error| {
            let program = launch.command.program.display();
            Reason::new(format!("cannot run `{program}`: {error}"))
        })?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let output = Output::read(&launch.endpoint, stdout, stderr);
        Ok(Self { child, output })
    }

    /// Waits until the container says where it listens and answers `/ping` with 200.
    pub(crate) async fn ready(&mut self, client: &ContainerClient) -> Result<SocketAddr, Reason> {
        let output = &mut self.output;
        let start = async {
            let address = parse_address(&output.address().await)?;
            healthy(client, address).await;
            Ok(address)
        };
        let ended = tokio::select! {
            ended = self.child.wait() => ended,
            started = timeout(START_LIMIT, start) => {
                return started.unwrap_or_else(|_| Err(self.too_slow()));
            }
        };
        Err(self.explain("before it was ready", ended).await)
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Says how the process ended, and what it printed last.
    pub(crate) async fn explain(&mut self, when: &str, ended: io::Result<ExitStatus>) -> Reason {
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        let tail = self.output.tail().await;
        Reason::new(format!("the container ended {when} ({how}); its last lines: {tail}"))
    }

    /// Asks the process to end, and kills it if it does not.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            self.signal(Signal::KILL);
            self.child.wait().await.ok();
        }
    }

    /// Signals the process and those it started; nothing once it has been waited for.
    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process_group(pid, signal).ok();
        }
    }

    fn too_slow(&self) -> Reason {
        let tail = self.output.tail_so_far();
        Reason::new(format!(
            "the container did not answer /ping with 200 within {START_LIMIT:?}; its last lines: {tail}"
        ))
    }
}

fn command(launch: &Launch) -> Command {
    let mut command = Command::new(&launch.command.program);
    command
        .args(&launch.command.arguments)
        .arg("serve")
        .arg("--model-dir")
        .arg(launch.home.model(&launch.artifact))
        .args(["--listen", "127.0.0.1:0"])
        .env_clear()
        .envs(&launch.environment)
        .current_dir(launch.home.work())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Calls go to this machine only, whatever a container prints.
fn parse_address(announced: &str) -> Result<SocketAddr, Reason> {
    let address: Option<SocketAddr> = announced.trim_end_matches('/').parse().ok();
    address.filter(|address| address.ip().is_loopback()).ok_or_else(|| {
        Reason::new(format!("the container listens on `{announced}`, which is no loopback address"))
    })
}

async fn healthy(client: &ContainerClient, address: SocketAddr) {
    while timeout(PING_LIMIT, ping(client, address)).await != Ok(Some(StatusCode::OK)) {
        sleep(PING_PAUSE).await;
    }
}

async fn ping(client: &ContainerClient, address: SocketAddr) -> Option<StatusCode> {
    let request = Request::get(format!("http://{address}/ping")).body(Full::<Bytes>::default());
    let answer = client.request(request.ok()?).await.ok()?;
    Some(answer.status())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let launch = Launch {
            endpoint: ResourceName::parse("stubborn").unwrap(),
            command: ContainerCommand {
                program: "/bin/sh".into(),
                arguments: vec!["-c".to_owned(), script.to_owned()],
            },
            artifact: Artifact::Folder(homes.path().to_owned()),
            home: Home::new(homes.path()),
            environment: BTreeMap::new(),
        };
        launch.home.prepare(&launch.artifact).unwrap();
        let mut container = Container::spawn(&launch).unwrap();
        let process = format!("/proc/{}", container.child.id().unwrap());
        container.output.address().await;
        tokio::time::pause();
        container.stop().await;
        assert!(!std::path::Path::new(&process).exists());
    }
}
