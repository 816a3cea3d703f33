//! Runs the built binary as a watch, calls it, and reads what it reports.

use std::fs;
use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::wire::{address, ask};

const BINARY: &str = env!("CARGO_BIN_EXE_migration-harness");

/// A watch that runs until it is stopped.
pub(crate) struct Watch {
    child: Running,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
    metrics: SocketAddr,
    pub(crate) folder: TempDir,
}

/// A process that ends with its test, whichever way that goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A watch that has ended.
pub(crate) struct Watched {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) folder: TempDir,
}

impl Watch {
    pub(crate) fn of(upstream: &str, target: &str, more: &[&str]) -> Self {
        Self::again(tempfile::tempdir().unwrap(), upstream, target, more)
    }

    /// Takes up what another watch has left in the folder.
    pub(crate) fn again(folder: TempDir, upstream: &str, target: &str, more: &[&str]) -> Self {
        let mut command = command(folder.path(), upstream, target, more);
        command.args(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = Running(command.spawn().unwrap());
        let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
        let address = address(&mut stdout, "watch listening on http://");
        let metrics = self::address(&mut stdout, "watch metrics on http://");
        Self { child, stdout, address, metrics, folder }
    }

    /// A call for the model `spam`, and the answer with its head.
    pub(crate) fn post(&self, client: &str, body: &str) -> String {
        let length = body.len();
        let head = format!(
            "POST /score/spam HTTP/1.1\r\nHost: legacy\r\nX-Client: {client}\r\nContent-Type: text/plain\r\nConnection: close\r\n"
        );
        ask(self.address, &format!("{head}Content-Length: {length}\r\n\r\n{body}"))
    }

    /// As many distinct calls, from the number on.
    pub(crate) fn post_all(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let client = ["alehouse", "toybox"][number % 2];
            let answer = self.post(client, &format!("call {number}"));
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    }

    /// What its metrics say; 0 of what they don't mention.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = ask(self.metrics, request);
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(&format!("parity_watch_{series} ")));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until something is so; a test that never ends has failed.
    pub(crate) fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many records the present report is about.
    pub(crate) fn reported(&self) -> u64 {
        json(self.folder.path(), "verdict.json")["records"].as_u64().unwrap()
    }

    pub(crate) fn stop(self) -> Watched {
        let mut watch = self;
        watch.signal("-TERM");
        let mut stdout = String::new();
        watch.stdout.read_to_string(&mut stdout).unwrap();
        let code = watch.child.0.wait().unwrap().code().unwrap();
        Watched { code, stdout, folder: watch.folder }
    }

    pub(crate) fn kill(mut self) -> TempDir {
        self.signal("-KILL");
        self.child.0.wait().unwrap();
        self.folder
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Watched {
    pub(crate) fn verdict(&self) -> Value {
        json(self.folder.path(), "verdict.json")
    }

    pub(crate) fn report(&self) -> Value {
        json(self.folder.path(), "report.json")
    }
}

/// Runs a watch that is to be refused.
pub(crate) fn refused(folder: &Path, upstream: &str, target: &str, more: &[&str]) -> Output {
    command(folder, upstream, target, more).args(["--listen", "127.0.0.1:0"]).output().unwrap()
}

fn command(folder: &Path, upstream: &str, target: &str, more: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["watch", "--upstream", upstream, "--target", target]);
    command.args(["--model", "path:/score/{}", "--client", "header:x-client", "--out"]);
    command.arg(folder).args(more);
    command
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}
