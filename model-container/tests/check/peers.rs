//! What the check says of servers that are not ours.

use std::sync::PoisonError;
use std::time::Duration;

use model_container::check::{Limits, Target};

use crate::starting::PORT_8080;
use crate::{check, expect, patient, repository, with};

fn command(words: &[&str]) -> Target {
    Target::Command(words.iter().map(|word| (*word).to_owned()).collect())
}

fn python() -> String {
    let python = repository(".tools/python/bin/python");
    assert!(python.exists(), "run tests/install-tools python");
    python.to_str().unwrap().to_owned()
}

#[test]
fn a_fastapi_server_keeps_all_but_the_rules_for_bad_bodies() {
    let _alone = PORT_8080.lock().unwrap_or_else(PoisonError::into_inner);
    let server = repository("tests/peers/fastapi_contract.py");
    let target = command(&[&python(), server.to_str().unwrap()]);
    let verdicts = check(target, None, &patient());
    assert_eq!(with(&verdicts, "broken"), ["empty-body", "malformed-body"], "{verdicts:#?}");
    expect(&verdicts, "malformed-body", "broken", "500");
    expect(&verdicts, "bind-to-port", "ok", "SAGEMAKER_BIND_TO_PORT");
    expect(&verdicts, "drain", "ok", "all 8");
}

/// Python's own server, which ends at SIGTERM whatever it is doing.
const HASTY: &str = "
import http.server, os, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.answer(b'')

    def do_POST(self):
        self.rfile.read(int(self.headers['content-length'] or 0))
        time.sleep(0.3)
        self.answer(b'{}')

    def answer(self, body):
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

address = ('0.0.0.0', int(os.environ.get('SAGEMAKER_BIND_TO_PORT', '0')))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
";

#[test]
fn a_server_that_ends_at_once_loses_the_requests_in_flight() {
    let python = python();
    let verdicts = check(command(&[&python, "-c", HASTY]), None, &patient());
    expect(&verdicts, "sigterm", "ok", "after SIGTERM");
    expect(&verdicts, "drain", "broken", "0 of 8 were answered");
    expect(&verdicts, "drain-unread", "broken", "0 of 8 were answered");
    expect(&verdicts, "exit-status", "ok", "SIGTERM");
    expect(&verdicts, "malformed-body", "broken", "answered 200");
}

#[test]
fn a_server_that_crashes_has_not_stopped_at_sigterm() {
    let crashing =
        HASTY.replace("time.sleep(0.3)", "self.headers['content-length'] == '0' and os._exit(5)");
    let verdicts = check(command(&[&python(), "-c", &crashing]), None, &patient());
    expect(&verdicts, "empty-body", "broken", "closed");
    expect(&verdicts, "keep-alive", "broken", "can't connect");
    expect(&verdicts, "sigterm", "broken", "ended before SIGTERM, with exit status: 5");
    expect(&verdicts, "drain", "untested", "ended before");
    expect(&verdicts, "exit-status", "untested", "did not end at SIGTERM");
}

#[test]
fn the_legacy_server_is_no_container() {
    let legacy = repository("examples/legacy/run");
    let models = repository("examples/models");
    let words = [legacy.to_str().unwrap(), "--port", "0", "--models", models.to_str().unwrap()];
    // It has no /ping, so the check waits as long as it may.
    let limits = Limits { start: Duration::from_secs(20), ..patient() };
    let verdicts = check(command(&words), None, &limits);
    let broken = ["all-interfaces", "bind-to-port", "invocations", "ping", "start-time"];
    assert_eq!(with(&verdicts, "broken"), broken, "{verdicts:#?}");
    expect(&verdicts, "ping", "broken", "404");
    expect(&verdicts, "invocations", "broken", "404");
    expect(&verdicts, "sigterm", "ok", "after SIGTERM");
    expect(&verdicts, "exit-status", "ok", "143");
}
