//! What an operator meets: dead containers, taken ports, a database that can't be opened.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Platform, gatehouse, repository, run, send, signal};

#[test]
fn killed_containers_are_replaced_and_the_verdict_says_what_it_is_worth() {
    let platform = Platform::start();
    let containers = platform.server.children();
    assert!(!containers.is_empty());
    for container in containers {
        signal("KILL", container);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let verdict = platform.verdict("toybox", "Goes well with a cold beer.");
        assert!(verdict["decision"] == "reject" || verdict["degraded"] == true, "{verdict}");
        if verdict["degraded"] == false {
            break;
        }
        assert!(Instant::now() < deadline, "the containers never came back: {verdict}");
    }
}

#[test]
fn a_model_taken_out_leaves_its_rules_to_their_failure_option() {
    let platform = Platform::start();
    let found = send(&platform.router, "GET", "/v1/models/spam", &[], "");
    let mut model = found.json();
    model["enabled"] = json!(false);
    let headers = [("content-type", "application/json"), ("if-match", found.etag.as_str())];
    let put = send(&platform.router, "PUT", "/v1/models/spam", &headers, model.to_string());
    assert_eq!(put.status, 204);
    let verdict = platform.verdict("plainstore", "A fine day.");
    assert_eq!(verdict["decision"], "review");
    assert_eq!(verdict["reasons"][0]["cause"], "skipped");
    assert_eq!(verdict["reasons"][0]["score"], json!(null));
}

#[test]
fn a_port_in_use_is_named_and_so_is_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let mut router = gatehouse();
    let database = format!("sqlite://{}/gatehouse.db", data.path().display());
    let output = run(router.args(["router", "--listen", &address, "--database", &database]), b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains(&address) && error.contains("--listen"), "{error}");

    let mut host = gatehouse();
    let output = run(host.args(["host", "--listen", &address, "--data"]).arg(data.path()), b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains(&address) && error.contains("--listen"), "{error}");
}

#[test]
fn a_database_that_can_not_be_opened_is_named() {
    let file = repository("Cargo.toml");
    let database = format!("sqlite://{}/x.db", file.display());
    let mut router = gatehouse();
    router.args(["router", "--listen", "127.0.0.1:0", "--database", &database]);
    let output = run(router.args(["--sagemaker-endpoint-url", "http://127.0.0.1:1"]), b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("Cargo.toml/x.db"), "{error}");
}

#[test]
fn a_folder_without_examples_is_named() {
    let output = run(gatehouse().args(["dev", "--examples", "/nowhere"]), b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("/nowhere") && error.contains("--examples"),
        "{error}"
    );
}
