//! The container as SageMaker and a curious client see it: a process, a socket, bytes.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Answer, Container, example, model_container, run};

const SPAM: &str = "WINNER!! Claim your free prize now, call 09061701461";

#[test]
fn a_text_and_the_same_text_in_json_get_the_same_prediction() {
    let spam = Container::start(&example("spam"));
    let text = spam.post("text/plain; charset=utf-8", SPAM).json();
    assert_eq!(text["label"], "spam");
    assert_eq!(text["score"], text["scores"]["spam"]);
    assert_eq!(text["model"]["name"], "spam");
    assert!(text["model"]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(spam.post("application/json", json!({"text": SPAM}).to_string()).json(), text);
}

#[test]
fn instances_and_lines_are_scored_one_by_one_in_order() {
    let spam = Container::start(&example("spam"));
    let contents = [json!({"text": SPAM}), json!({"title": "Lovely", "text": "I will come home"})];
    let batch = spam.post("application/json", json!({"instances": contents}).to_string()).json();
    let labels = |predictions: &[Value]| -> Vec<_> {
        predictions.iter().map(|one| one["label"].clone()).collect()
    };
    let predictions = batch["predictions"].as_array().unwrap();
    assert_eq!(labels(predictions), ["spam", "ham"]);
    assert_eq!(batch["model"]["name"], "spam");

    let lines = format!("{}\n\n{}", contents[0], contents[1]);
    let answer = spam.post("application/jsonlines", lines);
    assert_eq!(answer.content_type, "application/jsonlines");
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, predictions);
}

#[test]
fn a_line_that_fails_yields_its_error_in_its_place() {
    let spam = Container::start(&example("spam"));
    let answer = spam.post("application/x-ndjson", "{\"text\":\"a\"}\n{oops\n{\"body\":\"b\"}\n");
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["label"], "ham");
    assert_eq!((&lines[1]["line"], &lines[1]["error"]["status"]), (&json!(2), &json!(400)));
    assert_eq!((&lines[2]["line"], &lines[2]["error"]["status"]), (&json!(3), &json!(422)));
}

#[test]
fn a_container_whose_lifeline_is_standard_input_ends_with_it() {
    let mut command = model_container();
    command.args(["serve", "--listen", "127.0.0.1:0", "--model-dir"]).arg(example("spam"));
    command.env("LIFELINE", "stdin").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    assert!(process.try_wait().unwrap().is_none());
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[test]
fn an_empty_text_is_scored() {
    let spam = Container::start(&example("spam"));
    assert_eq!(spam.post("text/plain", "").json()["label"], "ham");
    assert_eq!(spam.post("application/json", r#"{"text": ""}"#).status, 200);
}

#[test]
fn evidence_says_where_a_lexicon_found_its_terms() {
    let alcohol = Container::start(&example("alcohol"));
    let answer = alcohol.post("application/json", r#"{"text": "Ein Bier, a beer"}"#).json();
    assert_eq!(answer["label"], "alcohol");
    assert!(
        answer["evidence"]
            .as_array()
            .unwrap()
            .contains(&json!({"field": "text", "start": 12, "end": 16}))
    );
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let spam = Container::start(&example("spam"));
    let json = |body: &str| spam.post("application/json", body);
    assert!(json("").problem(400).contains("not a JSON object"));
    assert!(json("[1]").problem(400).contains("not a JSON object"));
    assert!(json("{\"text\": \"\\ud800\"}").problem(400).contains("line 1 column"));
    assert!(json(r#"{"instances": [{"text": "a"}, 3]}"#).problem(400).contains("instances[1]"));
    assert!(
        json(r#"{"instances": [{"text": 3}]}"#).problem(422).contains("instances[0]: field `text`")
    );
    assert!(json(r#"{"body": "a"}"#).problem(422).contains("`title`, `text`"));
    assert!(spam.post("text/plain", b"\xFF\xFE").problem(400).contains("not UTF-8"));
    assert!(spam.post("image/png", "").problem(415).contains("`image/png`"));
    assert!(spam.get("/nothing").problem(404).contains("/nothing"));
    assert!(spam.get("/invocations").problem(405).contains("POST"));
    assert_eq!(spam.get("/ping").status, 200);
}

#[test]
fn an_oversized_body_is_refused_and_the_next_request_served() {
    let spam = Container::start(&example("spam"));
    assert!(spam.post("text/plain", "x".repeat(20 << 20)).problem(413).contains("6291456"));
    assert_eq!(spam.post("text/plain", "x".repeat(6 << 20)).status, 200);
    let chunked = "POST /invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                   content-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n", 7 << 20, "x".repeat(7 << 20));
    let request = [chunked, &chunk, "0\r\n\r\n"].concat();
    assert!(spam.send(request.as_bytes()).problem(413).contains("6291456"));
}

#[test]
fn more_lines_than_one_request_may_have_are_refused_by_their_count() {
    let spam = Container::start(&example("spam"));
    let problem = spam.post("application/jsonlines", "0\n".repeat(10_001)).problem(413);
    assert!(problem.contains("10001") && problem.contains("10000"), "{problem}");
    assert_eq!(spam.post("application/jsonlines", "0\n".repeat(10_000)).status, 200);
}

#[test]
fn a_request_in_flight_is_answered_after_sigterm() {
    let mut spam = Container::start(&example("spam"));
    let mut stream = TcpStream::connect(&spam.address).unwrap();
    let head = "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"ab").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    Command::new("kill").arg(spam.process.id().to_string()).status().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    stream.write_all(b"cd").unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
    assert!(spam.process.wait().unwrap().success());
}

#[test]
fn a_model_that_fails_its_canary_ends_the_process_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(example("alcohol/alcohol.toml"), dir.path().join("alcohol.toml")).unwrap();
    let manifest = "name = 'a'\nruntime = 'lexicon'\nartifact = 'alcohol.toml'\n\
                    [[canary]]\ninput = { text = 'tea' }\nlabel = 'alcohol'\n";
    std::fs::write(dir.path().join("model.toml"), manifest).unwrap();
    let mut serve = model_container();
    let output = run(serve.args(["--listen", "127.0.0.1:0", "--model-dir"]).arg(dir.path()), b"");
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("canary 1 of model `a`: expected label `alcohol`"), "{error}");
}

#[test]
fn a_truncated_model_is_refused_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(example("spam/spam.model")).unwrap();
    std::fs::write(dir.path().join("cut.model"), &bytes[..bytes.len() / 2]).unwrap();
    let output = run(model_container().args(["check", "--model-dir"]).arg(dir.path()), b"");
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cut.model") && error.contains("ends too early (at byte"), "{error}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut serve = model_container();
    let output = run(serve.args(["--listen", &address, "--model-dir"]).arg(example("spam")), b"");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains(&address), "{error}");
}

#[test]
fn an_idle_connection_does_not_hold_up_the_others() {
    let spam = Container::start(&example("spam"));
    let mut idle = TcpStream::connect(&spam.address).unwrap();
    assert_eq!(spam.post("text/plain", "x").status, 200);
    idle.write_all(b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    idle.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"));
}

#[test]
fn scoring_offline_keeps_the_order_and_fails_when_a_line_did() {
    let score = |input: &str| {
        let mut command = model_container();
        let output =
            run(command.args(["score", "--model-dir"]).arg(example("spam")), input.as_bytes());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, out) = score(&format!("{}\n{}\n", json!({"text": SPAM}), json!({"text": "hi mum"})));
    assert_eq!(code, Some(0));
    assert!(out.starts_with(r#"{"label":"spam""#) && out.contains(r#"{"label":"ham""#), "{out}");
    let (code, out) = score("{\"text\":\"a\"}\nnonsense\n");
    assert_eq!((code, out.lines().count()), (Some(1), 2));
    assert!(out.contains(r#"{"line":2,"error":{"type":"/problems/malformed""#), "{out}");
}

#[test]
fn a_line_that_is_too_long_offline_is_answered_in_its_place() {
    let long = format!("{}\n{}\n{}\n", r#"{"text":"a"}"#, "x".repeat(7 << 20), r#"{"text":"b"}"#);
    let mut command = model_container();
    let output = run(command.args(["score", "--model-dir"]).arg(example("spam")), long.as_bytes());
    let out = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(1), 3));
    assert_eq!(lines[1]["error"]["status"], 413);
    assert_eq!(lines[2]["label"], "ham");
}

#[test]
fn check_prints_what_it_found() {
    let output = run(model_container().args(["check", "--model-dir"]).arg(example("spam")), b"");
    let out = String::from_utf8(output.stdout).unwrap();
    for part in ["model     spam", "runtime   weka", "inputs    title, text", "labels    ham, spam"]
    {
        assert!(out.contains(part), "{out}");
    }
}
