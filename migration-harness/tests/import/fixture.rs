//! Imports by the built binary, of samples and of files of a test's own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

/// A folder for what is made of samples.
pub(crate) struct Import {
    pub(crate) folder: TempDir,
    pub(crate) output: Option<Output>,
}

impl Import {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), output: None }
    }

    /// Imports a sample.
    pub(crate) fn of(sample: &str, options: &[&str]) -> Self {
        Self::new().run(&[&samples().join(sample)], options)
    }

    /// Imports a file with this name and content.
    pub(crate) fn text(name: &str, content: impl AsRef<[u8]>, options: &[&str]) -> Self {
        let import = Self::new();
        let path = import.file(name, content);
        import.run(&[&path], options)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out.jsonl")
    }

    pub(crate) fn run(mut self, paths: &[&Path], options: &[&str]) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_migration-harness"))
            .arg("import")
            .args(paths)
            .arg("--out")
            .arg(self.out())
            .args(options)
            .output()
            .unwrap();
        self.output = Some(output);
        self
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

    pub(crate) fn records(&self) -> Vec<Value> {
        assert_eq!(self.code(), 0, "{}", self.stderr());
        lines(&fs::read_to_string(self.out()).unwrap())
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.records().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn audit(&self) -> Value {
        let path = self.folder.path().join("out.jsonl.audit.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// Nothing but this reason is left of an import that failed.
    pub(crate) fn fails(&self, code: i32, reason: &str) {
        assert_eq!(self.code(), code, "{}{}", self.stdout(), self.stderr());
        assert!(self.stderr().contains(reason), "{} lacks {reason}", self.stderr());
        assert!(!self.out().exists());
        assert!(!self.folder.path().join("out.jsonl.import").exists());
    }
}

pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/samples")
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares with the records that stand beside the samples.
pub(crate) fn is_golden(import: &Import, name: &str) {
    let expected = fs::read_to_string(samples().join("../golden").join(name)).unwrap();
    let found = import.records();
    for (record, expected) in found.iter().zip(lines(&expected)) {
        assert_eq!(record, &expected);
    }
    assert_eq!(found.len(), lines(&expected).len());
}

pub(crate) fn sample(name: &str) -> Vec<u8> {
    fs::read(samples().join(name)).unwrap()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

pub(crate) const SPAM: [&str; 2] = ["--model", "name:spam"];
pub(crate) const MAP: [&str; 7] = [
    "--model",
    "name:spam",
    "--map",
    "id=/requestId",
    "captured_at=/at",
    "body=/request/payload",
    "response=/result",
];
