//! Options kept as files: exported from a router, changed, compared, applied, and tested.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Platform, gatehouse, run, send};

const AD: &str = "Congratulations! You have won a free prize. Call now to claim your reward!";

/// Runs `gatehouse policy` on a folder, and returns what it said if it ended with this code.
fn policy(router: &str, folder: &TempDir, arguments: &[&str], code: i32) -> String {
    let mut command = gatehouse();
    command.arg("policy").args(arguments).arg("-f").arg(folder.path());
    command.env_remove("GATEHOUSE_KEY").env("GATEHOUSE_ROUTER", router);
    let output = run(&mut command, b"");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

fn put(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Every file below a folder, with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn options_are_exported_changed_as_files_and_applied() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    policy(&platform.router, &folder, &["export"], 0);
    let toybox = fs::read_to_string(folder.path().join("scopes/client/toybox.yaml")).unwrap();
    assert_eq!(toybox, "parent: industry/children\nrules:\n  spam:\n    review_at: 0.5\n");
    assert!(policy(&platform.router, &folder, &["diff"], 0).contains("nothing to do"));

    let mild = "# Agreed with the brand.\nrules: {spam: {review_at: 1.0, reject_at: null}}\n";
    put(&folder, "scopes/client/plainstore.yaml", mild);
    let shown = policy(&platform.router, &folder, &["diff"], 1);
    let lines = ["~ scopes/client/plainstore", "    + rules.spam.reject_at: null"];
    assert!(lines.iter().all(|line| shown.lines().any(|shown| shown == *line)), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(policy(&platform.router, &folder, &["apply"], 64).contains("--reason"));
    assert_eq!(platform.verdict("plainstore", AD)["decision"], "reject");

    policy(&platform.router, &folder, &["apply", "--reason", "the brand's wish"], 0);
    assert_eq!(platform.verdict("plainstore", AD)["decision"], "approve");
    policy(&platform.router, &folder, &["diff"], 0);
    let before = files(folder.path());
    policy(&platform.router, &folder, &["export"], 0);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn what_somebody_else_changed_shows_before_it_is_overwritten() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    policy(&platform.router, &folder, &["export"], 0);
    let theirs = json!({"rules": {"spam": {"review_at": 0.4}}});
    assert_eq!(platform.put_scope("client/plainstore", |options| *options = theirs).status, 204);
    let shown = policy(&platform.router, &folder, &["diff"], 1);
    assert!(shown.contains("    - rules.spam.review_at: 0.4"), "{shown}");
    let refused = policy(&platform.router, &folder, &["export"], 64);
    assert!(refused.contains("`scopes/client/plainstore.yaml` says something else"), "{refused}");
    policy(&platform.router, &folder, &["export", "--force"], 0);
    policy(&platform.router, &folder, &["diff"], 0);
}

#[test]
fn what_somebody_else_changes_in_the_middle_is_not_overwritten() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    policy(&platform.router, &folder, &["export"], 0);
    put(&folder, "scopes/client/plainstore.yaml", "rules: {spam: {review_at: 0.2}}\n");
    let between = between(platform.router.clone());
    let refused = policy(&between, &folder, &["apply", "--reason", "mine"], 70);
    assert!(refused.contains("somebody else changed the options"), "{refused}");
    let now = send(&platform.router, "GET", "/v1/scopes/client/plainstore", &[], "");
    assert_eq!(now.json(), json!({"rules": {"spam": {"review_at": 0.4}}}));
    let shown = policy(&platform.router, &folder, &["diff"], 1);
    assert!(shown.contains("    ~ rules.spam.review_at: 0.4 -> 0.2"), "{shown}");
}

/// A proxy to a router, where somebody changes a client's options just before each version is made.
fn between(router: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Ends with the process that runs the tests.
    thread::spawn(move || listener.incoming().for_each(|stream| pass(&router, stream.unwrap())));
    url
}

fn pass(router: &str, stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    if String::from_utf8_lossy(&body).contains("\"dry_run\":false") {
        let path = "/v1/scopes/client/plainstore";
        let etag = send(router, "GET", path, &[], "").etag;
        let headers = [("content-type", "application/json"), ("if-match", etag.as_str())];
        send(router, "PUT", path, &headers, "{\"rules\": {\"spam\": {\"review_at\": 0.4}}}");
    }
    let names = ["content-type", "if-match", "gatehouse-reason"];
    let headers: Vec<_> = names.iter().filter_map(|name| Some((*name, header(name)?))).collect();
    let mut request = head.split(' ');
    let (method, path) = (request.next().unwrap(), request.next().unwrap());
    let answer = send(router, method, path, &headers, body);
    let (status, length) = (answer.status, answer.body.len());
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n");
    let answer = format!("{head}\r\n{}", answer.body);
    reader.into_inner().write_all(answer.as_bytes()).unwrap();
}

#[test]
fn faults_are_told_by_file_line_and_column_and_nothing_is_changed() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    policy(&platform.router, &folder, &["export"], 0);
    put(&folder, "scopes/client/toybox.yaml", "parent: platform\nrules: {}\nparent: platform\n");
    let refused = policy(&platform.router, &folder, &["apply", "--reason", "x"], 64);
    let expected = "`scopes/client/toybox.yaml`: duplicate mapping key `parent` is not allowed \
                    here at line 3, column 1";
    assert!(refused.contains(expected), "{refused}");
    // The router's own checks are heard by `diff` already.
    put(
        &folder,
        "scopes/client/toybox.yaml",
        "parent: industry/children\nrules: {alcohol: {enabled: no}}\n",
    );
    let refused = policy(&platform.router, &folder, &["diff"], 64);
    assert!(refused.contains("alcohol"), "{refused}");
    put(
        &folder,
        "scopes/client/toybox.yaml",
        "parent: industry/children\nrules: {alcohol: {enabled: false}}\n",
    );
    let locked = policy(&platform.router, &folder, &["apply", "--reason", "x"], 64);
    assert!(locked.contains("industry/children"), "{locked}");
    assert_eq!(platform.verdict("toybox", "a cold beer")["decision"], "reject");
}

#[test]
fn a_client_is_deleted_by_pruning_alone() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    policy(&platform.router, &folder, &["export"], 0);
    fs::remove_file(folder.path().join("scopes/client/plainstore.yaml")).unwrap();
    let kept = policy(&platform.router, &folder, &["apply", "--reason", "gone"], 0);
    assert!(kept.contains("scopes/client/plainstore; kept"), "{kept}");
    policy(&platform.router, &folder, &["apply", "--reason", "gone", "--prune"], 0);
    let content = json!({"client": "plainstore", "content_id": "c", "fields": {"text": "a"}});
    let answer = platform.post("/v1/moderate", "application/json", &content.to_string());
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[test]
fn expected_verdicts_are_checked_by_a_router_with_the_folders_options() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().unwrap();
    policy(&platform.router, &folder, &["export"], 0);
    let mild = "rules: {spam: {review_at: 1.0, reject_at: null}}\n";
    put(&folder, "scopes/client/plainstore.yaml", mild);
    let expect = |verdict: &str| {
        let content = format!("client: plainstore, content: {{text: '{AD}'}}");
        put(&folder, "tests/ads.yaml", &format!("- {{name: ad, {content}, verdict: {verdict}}}\n"));
    };
    expect("approve");
    let told = policy(&platform.router, &folder, &["test"], 0);
    assert!(told.contains("1 tests: 1 as expected, 0 wrong, 0 without a verdict"), "{told}");
    expect("reject");
    let told = policy(&platform.router, &folder, &["test"], 1);
    assert!(told.contains("1 tests: 0 as expected, 1 wrong, 0 without a verdict"), "{told}");
    assert!(told.lines().any(|line| line.starts_with("tests/ads.yaml  ad ")), "{told}");
    // Nothing of it is in force.
    assert_eq!(platform.verdict("plainstore", AD)["decision"], "reject");

    expect("approve");
    put(&folder, "models/spam.yaml", "endpoint: {sagemaker: nowhere}\n");
    let told = policy(&platform.router, &folder, &["test"], 70);
    assert!(told.contains("0 wrong, 1 without a verdict"), "{told}");
    assert!(told.contains("model spam: failed"), "{told}");
}
