//! Runs the built binary as a capture, and reads what it recorded.

use std::fs;
use std::io::{BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::wire::{address, ask};

const BINARY: &str = env!("CARGO_BIN_EXE_migration-harness");

/// A capture that runs until it is stopped.
pub(crate) struct Capture {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
    metrics: SocketAddr,
    pub(crate) folder: TempDir,
}

/// A capture that has ended.
pub(crate) struct Captured {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) folder: TempDir,
}

impl Capture {
    pub(crate) fn of(upstream: &str, more: &[&str]) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), upstream, more)
    }

    pub(crate) fn in_folder(folder: TempDir, upstream: &str, more: &[&str]) -> Self {
        Self::run(Command::new(BINARY), folder, upstream, more)
    }

    /// No file can get larger than that many KiB, as if the disk was full.
    pub(crate) fn on_a_full_disk(kib: usize, upstream: &str, more: &[&str]) -> Self {
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\""));
        command.arg("bash").arg(BINARY);
        Self::run(command, tempfile::tempdir().unwrap(), upstream, more)
    }

    fn run(mut command: Command, folder: TempDir, upstream: &str, more: &[&str]) -> Self {
        command.args(["capture", "--upstream", upstream, "--listen", "127.0.0.1:0"]);
        command.args(["--metrics", "127.0.0.1:0", "--out"]).arg(folder.path());
        if !more.contains(&"--model") {
            command.args(["--model", "name:spam"]);
        }
        command.args(more).env("PARITY_REDACTION_KEY", "000102030405060708090a0b0c0d0e0f");
        let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = address(&mut stdout, "capture listening on http://");
        let metrics = self::address(&mut stdout, "capture metrics on http://");
        Self { child, stdout, address, metrics, folder }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    /// What comes back until the other side closes, on a connection of its own.
    pub(crate) fn ask(&self, request: &str) -> String {
        ask(self.address, request)
    }

    /// A call with a body, on a connection of its own.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: legacy\r\nConnection: close\r\n");
        let answer = self.ask(&format!("{head}Content-Length: {length}\r\n\r\n{body}"));
        answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned()
    }

    /// One of its own counts.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let answer =
            ask(self.metrics, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(&format!("parity_capture_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {answer}")).parse().unwrap()
    }

    /// Waits until a count has been reached; a test that never ends has failed.
    pub(crate) fn wait_for(&self, name: &str, count: u64) {
        while self.count(name) < count {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn stop(self) -> Captured {
        self.signal("-TERM");
        let captured = self.ended(0);
        assert_eq!(captured.files("partial"), [""; 0]);
        captured
    }

    pub(crate) fn kill(self) -> TempDir {
        self.signal("-KILL");
        let mut capture = self;
        capture.child.wait().unwrap();
        capture.folder
    }

    /// What it leaves, once it has ended with that code.
    pub(crate) fn ended(mut self, code: i32) -> Captured {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(code), "{stderr}");
        Captured { stdout, stderr, folder: self.folder }
    }
}

impl Captured {
    /// The names of the files that end so, in order.
    pub(crate) fn files(&self, extension: &str) -> Vec<String> {
        files(self.folder.path(), extension)
    }

    /// The records of all files of JSON lines.
    pub(crate) fn records(&self) -> Vec<Value> {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap();
        let text: String = self.files("jsonl").into_iter().map(read).collect();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only record.
    pub(crate) fn record(&self) -> Value {
        let records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records[0].clone()
    }
}

pub(crate) fn files(folder: &Path, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|it| it == extension));
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<_> = files.map(name).collect();
    names.sort();
    names
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("PARITY_REDACTION_KEY").output().unwrap()
}
