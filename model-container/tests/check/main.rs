//! `model-container check` on containers that keep SageMaker's contract, and on others that break
//! one rule each.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

mod server;
mod serving;
mod starting;
mod peers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use model_container::check::{Example, Limits, Target, container};

/// What a check said of each rule.
pub(crate) type Verdicts = BTreeMap<String, (String, String)>;

/// Limits that no machine is too busy for.
pub(crate) fn patient() -> Limits {
    let long = Duration::from_secs(60);
    Limits { start: long, ping: long, accept: long, answer: long, stop: long }
}

/// Checks with the library.
pub(crate) fn check(target: Target, example: Option<Example>, limits: &Limits) -> Verdicts {
    let mut out = Vec::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tally = runtime.block_on(container(target, example, limits, &mut out)).unwrap();
    let verdicts = parse(&String::from_utf8(out).unwrap());
    assert_eq!(verdicts.len(), tally.ok + tally.broken + tally.untested);
    verdicts
}

/// Checks with the binary.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_model-container"))
        .arg("check")
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn parse(out: &str) -> Verdicts {
    let line = |line: &str| {
        let (verdict, rest) = line.split_once(' ').unwrap();
        let (rule, text) = rest.trim_start().split_once(' ').unwrap();
        (rule.to_owned(), (verdict.to_owned(), text.trim_start().to_owned()))
    };
    out.lines().map(line).collect()
}

/// The rules with this verdict.
pub(crate) fn with(verdicts: &Verdicts, verdict: &str) -> Vec<String> {
    verdicts
        .iter()
        .filter(|(_, (found, _))| found == verdict)
        .map(|(rule, _)| rule.clone())
        .collect()
}

/// Asserts one rule's verdict and a part of what is said.
pub(crate) fn expect(verdicts: &Verdicts, rule: &str, verdict: &str, part: &str) {
    let (found, text) = &verdicts[rule];
    assert!(found == verdict && text.contains(part), "{rule}: {verdicts:#?}");
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
