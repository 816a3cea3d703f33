//! ONNX Runtime's library as a user meets it: present, missing, and broken.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn container(command: &str, package: &Path, library: Option<&Path>) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_model-container"));
    process.arg(command).arg("--model-dir").arg(package).env_remove("ORT_DYLIB_PATH");
    if let Some(library) = library {
        process.env("ORT_DYLIB_PATH", library);
    }
    process.stdin(Stdio::null()).output().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

/// What a run that fails says, cleanly and not by being killed.
fn complaint(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    complaint
}

#[test]
fn an_onnx_package_is_checked_with_the_library_that_make_onnxruntime_installed() {
    let output = container("check", &fixture("strings"), None);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(answer.contains("labels    complaint, praise, question"), "{answer}");
}

#[test]
fn a_missing_library_is_named_with_its_variable_and_other_models_load() {
    let missing = Path::new("/no/such/libonnxruntime.so");
    let complaint = complaint(&container("check", &fixture("strings"), Some(missing)));
    let expected = "ORT_DYLIB_PATH is `/no/such/libonnxruntime.so`, which is no file";
    assert!(complaint.contains(expected), "{complaint}");
    let lexicon = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models/contact");
    assert!(container("check", &lexicon, Some(missing)).status.success());
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let junk = tempfile::NamedTempFile::new().unwrap();
    fs::write(junk.path(), "no library").unwrap();
    let complaint = complaint(&container("check", &fixture("strings"), Some(junk.path())));
    assert!(complaint.contains("ONNX Runtime's library `"), "{complaint}");
    assert!(complaint.contains("can't be loaded"), "{complaint}");
}

#[test]
fn nothing_but_answers_is_printed_on_standard_output() {
    let contents = tempfile::NamedTempFile::new().unwrap();
    fs::write(contents.path(), "{\"text\": \"terrible\"}\n".repeat(3)).unwrap();
    let mut score = Command::new(env!("CARGO_BIN_EXE_model-container"));
    score.args(["score", "--model-dir"]).arg(fixture("strings")).env_remove("ORT_DYLIB_PATH");
    let output = score.stdin(fs::File::open(contents.path()).unwrap()).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["label"] == "complaint"), "{lines:?}");
}
