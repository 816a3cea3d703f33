//! Runs the built binary on records of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The media type of the captured calls.
pub(crate) const LINES: &str = "application/jsonlines";
/// What the captured system answered.
pub(crate) const ANSWER: &str =
    "{\"label\": \"spam\", \"score\": 0.97, \"scores\": {\"ham\": 0.03, \"spam\": 0.97}}\n";

/// A folder with records, and what a replay of them gave.
pub(crate) struct Replay {
    folder: TempDir,
    output: Option<Output>,
}

impl Replay {
    /// As many distinct calls, each answered with `ANSWER`, for two models and three clients.
    pub(crate) fn of(count: usize) -> Self {
        let lines: Vec<_> = (0..count).map(|n| record(n).to_string()).collect();
        Self::of_text(&(lines.join("\n") + "\n"))
    }

    pub(crate) fn of_text(records: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("records.jsonl"), records).unwrap();
        Self { folder, output: None }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("report")
    }

    pub(crate) fn against(self, target: &str) -> Self {
        self.with(target, &[])
    }

    pub(crate) fn with(mut self, target: &str, more: &[&str]) -> Self {
        self.again(target, more);
        self
    }

    /// Replays the same records into the same folder.
    pub(crate) fn again(&mut self, target: &str, more: &[&str]) {
        self.run(&mut self.command(target, more));
    }

    /// The same with further environment variables.
    pub(crate) fn with_environment(
        mut self,
        target: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = self.command(target, more);
        self.run(command.envs(environment.iter().copied()));
        self
    }

    /// Sends again what differed.
    pub(crate) fn rerun(&mut self, more: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_migration-harness"));
        command.args(["replay", "--only", "mismatches", "--out"]).arg(self.out()).args(more);
        self.run(&mut command);
    }

    /// Begins a replay that goes on until it has ended or is killed.
    pub(crate) fn begin(&self, target: &str, more: &[&str]) -> Child {
        let mut command = self.command(target, more);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn command(&self, target: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_migration-harness"));
        command.args(["replay", "--target", target]).arg("--records").arg(self.records());
        if !more.contains(&"--concurrency") {
            command.args(["--concurrency", "4"]);
        }
        command.arg("--out").arg(self.out()).args(more);
        command
    }

    fn run(&mut self, command: &mut Command) {
        self.output = Some(command.output().unwrap());
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.folder.path().join("records.jsonl")
    }

    /// The lines of `answers.jsonl`.
    pub(crate) fn answers(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.out().join("answers.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A file of JSON in the folder of the report.
    pub(crate) fn json(&self, name: &str) -> Value {
        read_json(&self.out().join(name))
    }

    pub(crate) fn code(&self) -> i32 {
        self.output.as_ref().unwrap().status.code().unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.output.as_ref().unwrap().stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.output.as_ref().unwrap().stderr.clone()).unwrap()
    }

    pub(crate) fn verdict(&self) -> Value {
        read_json(&self.out().join("verdict.json"))
    }

    /// Field, kind and count of each cluster.
    pub(crate) fn clusters(&self) -> Vec<(String, String, u64)> {
        let clusters = self.verdict()["clusters"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let cluster =
            |c: &Value| (text(&c["field"]), text(&c["kind"]), c["records"].as_u64().unwrap());
        clusters.iter().map(cluster).collect()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A captured call that no other number repeats.
pub(crate) fn record(number: usize) -> Value {
    let client = ["alehouse", "toybox", "plain/store"][number % 3];
    json!({
        "schema_version": 1,
        "id": format!("id-{number}"),
        "captured_at": "2026-11-21T10:00:00.123456Z",
        "model": if number.is_multiple_of(2) { "spam" } else { "offensive" },
        "client": client,
        "request": {
            "method": "POST", "path": "/score/spam", "content_type": LINES,
            "body": format!("{{\"text\": \"call {number}\"}}\n"), "encoding": "utf8",
        },
        "response": {"status": 200, "content_type": LINES, "body": ANSWER, "encoding": "utf8"},
        "latency_us": 812,
    })
}
