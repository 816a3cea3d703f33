//! Files of records and the built binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What the captured system answered.
pub(crate) const ANSWER: &str = r#"{"label": "spam", "score": 0.97}"#;

/// A folder for a test's files.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes records, one a line.
    pub(crate) fn write(&self, name: &str, records: &[Value]) -> PathBuf {
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        std::fs::write(self.path(name), lines).unwrap();
        self.path(name)
    }

    /// What a command wrote as JSON.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// Runs a command with these arguments and variables.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migration-harness"));
    for name in ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"] {
        command.env_remove(name);
    }
    Ended(command.args(arguments).envs(variables.iter().copied()).output().unwrap())
}

/// A command that has ended.
pub(crate) struct Ended(Output);

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
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
            "method": "POST", "path": "/score", "content_type": "application/json",
            "body": format!("{{\"text\": \"call {number}\"}}"), "encoding": "utf8",
        },
        "response": {
            "status": 200, "content_type": "application/json", "body": ANSWER, "encoding": "utf8",
        },
        "latency_us": 812,
    })
}

/// The records of these numbers.
pub(crate) fn records(numbers: impl Iterator<Item = usize>) -> Vec<Value> {
    numbers.map(record).collect()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
