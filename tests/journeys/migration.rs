//! The legacy server's answers, captured and replayed against the endpoints that replace it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::{Platform, Server, gatehouse, python, repository, run};

/// The legacy server compiles itself into one folder, which two at a time would spoil.
pub(crate) static COMPILING: Mutex<()> = Mutex::new(());

fn legacy() -> (Server, String) {
    let _alone = COMPILING.lock().unwrap();
    let mut legacy = Command::new(repository("examples/legacy/run"));
    legacy.args(["--port", "0", "--models"]).arg(repository("examples/models"));
    let mut server = Server::start(&mut legacy);
    let url = server.line("legacy server listening on ");
    (server, url)
}

/// Calls of a model that all differ: each pairs the words of two example reviews.
fn calls(count: usize, model: &str) -> String {
    let reviews = fs::read_to_string(repository("examples/content/reviews.jsonl")).unwrap();
    let texts: Vec<String> = reviews
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["fields"]["text"].clone())
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    let pairs = texts.iter().flat_map(|one| texts.iter().map(move |other| (one, other)));
    pairs
        .take(count)
        .enumerate()
        .map(|(n, (title, text))| {
            let client = ["alehouse", "toybox"][n % 2];
            let body = json!({"title": title, "text": text}).to_string() + "\n";
            let call = json!({"model": model, "client": client, "body": body, "encoding": "utf8",
                              "content_type": "application/jsonlines"});
            format!("{call}\n")
        })
        .collect()
}

/// The folder of what a capture before the legacy server has recorded.
fn capture(count: usize, models: &[&str], folder: &Path) -> PathBuf {
    let (_legacy, url) = legacy();
    let records = folder.join("records");
    let mut capture = gatehouse();
    capture.args(["parity", "capture", "--upstream", &url, "--listen", "127.0.0.1:0", "--out"]);
    capture.arg(&records).args(["--model", "path:/score/{}"]);
    let mut capture = Server::start(capture.args(["--client", "header:gatehouse-client"]));
    let proxy = capture.line("capture listening on ");
    let calls: String = models.iter().map(|model| calls(count, model)).collect();
    let sent =
        run(python().arg(repository("examples/legacy/send.py")).arg(proxy), calls.as_bytes());
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    capture.terminate();
    let all = count * models.len();
    assert_eq!(capture.rest(), format!("captured {all} calls, dropped 0, skipped 0\n"));
    records
}

fn replay(records: &Path, target: &str, out: &Path) -> (Option<i32>, Value) {
    let mut replay = gatehouse();
    replay.args(["parity", "replay", "--target", target, "--records"]).arg(records);
    let output = run(replay.arg("--out").arg(out), b"");
    let verdict = fs::read(out.join("verdict.json"))
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), serde_json::from_slice(&verdict).unwrap())
}

#[test]
fn the_endpoints_answer_as_the_legacy_server_did_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let records = capture(1550, &["spam", "offensive"], folder.path());
    let platform = Platform::start();
    let target = format!("{}/endpoints/{{model}}/invocations", platform.host);
    let (code, verdict) = replay(&records, &target, &folder.path().join("out"));
    assert_eq!((code, &verdict["outcome"]), (Some(0), &json!("parity")), "{verdict}");
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(3100), &json!(0)));
    assert_eq!(verdict["clusters"], json!([]));
}

#[test]
fn another_model_at_the_target_breaks_parity() {
    let folder = tempfile::tempdir().unwrap();
    let records = capture(20, &["spam"], folder.path());
    let platform = Platform::start();
    let target = format!("{}/endpoints/offensive/invocations", platform.host);
    let (code, verdict) = replay(&records, &target, &folder.path().join("out"));
    assert_eq!((code, &verdict["outcome"]), (Some(1), &json!("broken")));
    assert_eq!(verdict["mismatches"], 20);
}
