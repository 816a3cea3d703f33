//! Each rule for a container that runs, kept and broken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model_container::check::{Example, Limits, Target};

use crate::server::{Call, Fault, serve};
use crate::{Verdicts, check, expect, patient, run, with};

fn verdicts(faulty: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) -> Verdicts {
    check(Target::Address(serve(faulty)), None, &patient())
}

/// Asserts that a fault in what `is_wrong` picks breaks one rule alone.
#[track_caller]
fn breaks(rule: &str, part: &str, faulty: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
    let verdicts = verdicts(faulty);
    assert_eq!(with(&verdicts, "broken"), [rule], "{verdicts:#?}");
    expect(&verdicts, rule, "broken", part);
}

fn has(call: &Call, header: &str) -> bool {
    call.head.contains(header)
}

fn hurried() -> Limits {
    let short = Duration::from_millis(300);
    Limits { ping: short, answer: short, ..patient() }
}

#[test]
fn a_container_that_keeps_the_contract_breaks_no_rule() {
    let verdicts = verdicts(|_| None);
    assert_eq!(with(&verdicts, "broken"), [""; 0], "{verdicts:#?}");
    let unseen = [
        "all-interfaces",
        "bind-to-port",
        "children",
        "default-port",
        "drain",
        "drain-unread",
        "exit-status",
        "other-user",
        "read-only-root",
        "serve",
        "sigterm",
        "start-time",
    ];
    assert_eq!(with(&verdicts, "untested"), unseen);
    expect(&verdicts, "sigterm", "untested", "--command");
    expect(&verdicts, "content-type", "ok", "415");
    expect(&verdicts, "expect-continue", "ok", "100 and 200");
}

#[test]
fn the_exit_code_says_whether_a_rule_is_broken() {
    let well = run(&["--url", &format!("http://{}", serve(|_| None))]);
    assert_eq!(well.status.code(), Some(0), "{}", String::from_utf8_lossy(&well.stdout));
    let ill = serve(|call| (call.path == "/ping").then_some(Fault::Answer(503)));
    assert_eq!(run(&["--url", &format!("http://{ill}")]).status.code(), Some(1));
}

#[test]
fn a_wrong_command_line_has_its_own_exit_code() {
    for (arguments, part) in [
        (["--url", "https://127.0.0.1:1"].as_slice(), "http://HOST:PORT"),
        (&["--url", "http://127.0.0.1:1/path"], "/invocations"),
        (&["--url", "http://127.0.0.1:1", "--command", "true"], "cannot be used with"),
        (&["--url", "http://127.0.0.1:1", "--model-dir", "."], "cannot be used with"),
        (&["--command", "a 'b"], "quote"),
        (&["--command", " "], "no program"),
        (&["--body", "a.json"], "--content-type"),
    ] {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn a_ping_must_be_200() {
    let verdicts = verdicts(|call| (call.path == "/ping").then_some(Fault::Answer(404)));
    expect(&verdicts, "ping", "broken", "/ping answered 404");
    expect(&verdicts, "ping-busy", "broken", "404");
    expect(&verdicts, "healthy-after", "broken", "after noise");
}

#[test]
fn a_ping_with_a_body_is_noted() {
    let verdicts = verdicts(|call| {
        (call.path == "/ping").then_some(Fault::Content("text/plain", "Unhealthy"))
    });
    expect(&verdicts, "ping", "ok", "body of 9 bytes");
}

#[test]
fn a_ping_must_be_answered_in_time() {
    let late = serve(|call| (call.path == "/ping").then_some(Fault::Silence));
    let verdicts = check(Target::Address(late), None, &hurried());
    expect(&verdicts, "ping", "broken", "no answer within 300.0 ms");
    expect(&verdicts, "ping-busy", "broken", "no answer within");
}

#[test]
fn what_is_no_http_is_shown() {
    let verdicts = verdicts(|_| Some(Fault::NotHttp));
    expect(&verdicts, "ping", "broken", "SSH-2.0");
    expect(&verdicts, "invocations", "broken", "SSH-2.0");
    expect(&verdicts, "empty-body", "untested", "no request is known");
}

#[test]
fn nothing_that_listens_is_broken_and_the_rest_unseen() {
    let verdicts = check(Target::Address("127.0.0.1:1".to_owned()), None, &patient());
    assert_eq!(with(&verdicts, "broken"), ["accept", "invocations", "ping"]);
    assert_eq!(with(&verdicts, "ok"), [""; 0]);
}

#[test]
fn a_connection_must_come_about_in_time() {
    let limits = Limits { accept: Duration::ZERO, ..patient() };
    let verdicts = check(Target::Address(serve(|_| None)), None, &limits);
    assert_eq!(with(&verdicts, "broken"), ["accept", "accept-busy"], "{verdicts:#?}");
}

#[test]
fn invocations_must_be_there() {
    let verdicts = verdicts(|call| (call.path == "/invocations").then_some(Fault::Answer(404)));
    expect(&verdicts, "invocations", "broken", "gave 404");
    expect(&verdicts, "large-body", "untested", "no request is known");
}

#[test]
fn invocations_must_be_answered_in_time() {
    let silent = serve(|call| (call.path == "/invocations").then_some(Fault::Silence));
    let verdicts = check(Target::Address(silent), None, &hurried());
    expect(&verdicts, "invocations", "broken", "no answer within 300.0 ms");
}

#[test]
fn a_container_that_takes_something_else_is_untested_until_it_is_given() {
    let images = || {
        serve(|call| {
            let is_other = call.path == "/invocations" && !has(call, "image/x-test");
            let answer = || Fault::Content("application/json", "{}");
            if is_other {
                Some(Fault::Answer(415))
            } else {
                (call.path == "/invocations").then(answer)
            }
        })
    };
    let unknown = check(Target::Address(images()), None, &patient());
    expect(&unknown, "invocations", "untested", "--body");
    assert_eq!(with(&unknown, "broken"), [""; 0]);
    let image = Example { content_type: "image/x-test".to_owned(), body: vec![1, 2, 3] };
    let known = check(Target::Address(images()), Some(image.clone()), &patient());
    expect(&known, "invocations", "ok", "200 for image/x-test");
    assert_eq!(with(&known, "broken"), [""; 0], "{known:#?}");
    let refused = check(Target::Address(serve(|_| None)), Some(image), &patient());
    expect(&refused, "invocations", "broken", "gave 415");
}

#[test]
fn unknown_headers_must_be_ignored() {
    breaks("unknown-headers", "closed", |call| {
        has(call, "x-gatehouse-check").then_some(Fault::Close)
    });
}

#[test]
fn the_headers_of_sagemaker_must_be_taken() {
    breaks("sagemaker-headers", "431", |call| {
        has(call, "custom-attributes").then_some(Fault::Answer(431))
    });
}

#[test]
fn an_accept_header_must_not_fail() {
    breaks("accept-header", "500", |call| {
        has(call, "accept: text/csv").then_some(Fault::Answer(500))
    });
}

#[test]
fn an_unknown_content_type_must_not_fail() {
    breaks("content-type", "500", |call| {
        has(call, "content-type: application/x-gatehouse").then_some(Fault::Answer(500))
    });
}

#[test]
fn an_empty_body_must_not_fail() {
    breaks("empty-body", "500", |call| {
        has(call, "content-length: 0\r").then_some(Fault::Answer(500))
    });
}

#[test]
fn an_empty_body_must_not_hang() {
    let hanging = serve(|call| has(call, "content-length: 0\r").then_some(Fault::Silence));
    let verdicts = check(Target::Address(hanging), None, &hurried());
    expect(&verdicts, "empty-body", "broken", "no answer within 300.0 ms");
}

#[test]
fn a_malformed_body_must_neither_fail_nor_succeed() {
    let is_cut = |call: &Call| call.body == b"{\"text\": ";
    breaks("malformed-body", "500", move |call| is_cut(call).then_some(Fault::Answer(500)));
    breaks("malformed-body", "half a JSON object", move |call| {
        is_cut(call).then_some(Fault::Answer(200))
    });
}

#[test]
fn a_large_body_must_not_be_cut_off() {
    breaks("large-body", "closed", |call| (call.body.len() == 4 << 20).then_some(Fault::Close));
}

#[test]
fn a_large_body_may_be_refused() {
    let verdicts = verdicts(|call| (call.body.len() == 4 << 20).then_some(Fault::Answer(413)));
    expect(&verdicts, "large-body", "ok", "413");
}

#[test]
fn a_body_in_chunks_must_be_read_or_refused_by_its_length() {
    breaks("chunked-body", "400", |call| {
        has(call, "transfer-encoding: chunked").then_some(Fault::Answer(400))
    });
    let verdicts =
        verdicts(|call| has(call, "transfer-encoding: chunked").then_some(Fault::Answer(411)));
    expect(&verdicts, "chunked-body", "ok", "411");
}

#[test]
fn a_caller_that_waits_to_send_must_be_answered() {
    breaks("expect-continue", "417", |call| has(call, "expect:").then_some(Fault::Answer(417)));
}

#[test]
fn a_connection_must_not_be_closed_without_a_word() {
    let verdicts = verdicts(|call| (call.path == "/invocations").then_some(Fault::ThenClose));
    expect(&verdicts, "keep-alive", "broken", "closed");
}

#[test]
fn a_bad_caller_must_not_harm_the_others() {
    let is_harmed = AtomicBool::new(false);
    let verdicts = verdicts(move |call| {
        is_harmed.fetch_or(call.path.is_empty(), Ordering::SeqCst);
        is_harmed.load(Ordering::SeqCst).then_some(Fault::Answer(500))
    });
    expect(&verdicts, "healthy-after", "broken", "after noise");
    expect(&verdicts, "keep-alive", "ok", "");
}

#[test]
fn busy_is_not_ill() {
    let verdicts =
        verdicts(|call| (call.path == "/ping" && call.running > 0).then_some(Fault::Answer(503)));
    assert_eq!(with(&verdicts, "broken"), ["ping-busy"], "{verdicts:#?}");
}

#[test]
fn several_callers_must_each_be_answered_or_put_off() {
    breaks("concurrent", "500", |call| (call.running > 1).then_some(Fault::Answer(500)));
    let full = verdicts(|call| (call.running > 1).then_some(Fault::Answer(503)));
    expect(&full, "concurrent", "ok", "put off");
}
