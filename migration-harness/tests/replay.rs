//! Replays with the built binary, against targets on real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod run;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod target;

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use run::{ANSWER, LINES, Replay, record};
use serde_json::{Value, json};
use target::{Reply, Target};

/// A target that answers every call with the body.
fn answering(body: &'static str) -> Target {
    Target::start(move |_| Reply::new(200, LINES, body))
}

#[test]
fn equal_answers_to_enough_calls_are_parity() {
    let target = answering(
        "{\"scores\":{\"spam\":9.7e-1,\"ham\":0.03},\"score\":0.97,\"label\":\"spam\"}\n",
    );
    let replay = Replay::of(300).with(&target.url(""), &["--max-rate", "0.01"]);
    assert_eq!(replay.code(), 0, "{}", replay.stderr());
    let verdict = replay.verdict();
    assert_eq!(verdict["outcome"], "parity");
    assert_eq!(verdict["records"], 300);
    assert_eq!(verdict["distinct"], 300);
    assert_eq!(verdict["mismatches"], 0);
    assert_eq!(verdict["bound"]["confidence"], 0.95);
    let rate = verdict["bound"]["mismatch_rate"].as_f64().unwrap();
    assert!((rate - 0.009_936).abs() < 1e-6, "{rate}");
    assert!(replay.stdout().starts_with("parity: 0 of 300 records differ\n"));
}

#[test]
fn the_captured_request_is_sent_as_it_was() {
    let target = Target::start(|request| {
        let sent = request.method == "POST"
            && request.path == "/score/spam"
            && request.body == "{\"text\": \"call 0\"}\n"
            && request.content_type.as_deref() == Some(LINES);
        Reply::new(if sent { 200 } else { 400 }, LINES, ANSWER)
    });
    assert_eq!(Replay::of(1).against(&target.url("")).code(), 2);
}

#[test]
fn calls_that_were_not_captured_whole_are_neither_sent_nor_judged() {
    let mut records: Vec<_> = (0..12).map(record).collect();
    for record in &mut records[4..6] {
        record["response"] = Value::Null;
        record["error"] = "the client went away before the answer".into();
        record["incomplete"] = true.into();
    }
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let target = Target::start(|request| {
        let is_whole = !request.body.contains("call 4") && !request.body.contains("call 5");
        Reply::new(if is_whole { 200 } else { 500 }, LINES, ANSWER)
    });
    let replay = Replay::of_text(&lines).against(&target.url(""));
    let verdict = replay.verdict();
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(10), &json!(0)));
    let statuses = &replay.json("report.json")["timing"]["statuses"];
    assert_eq!(statuses, &json!({"200": 10}), "they were not sent");
    assert!(replay.stdout().contains("2 calls were not captured whole"), "{}", replay.stdout());
}

#[test]
fn compressed_answers_are_compared_as_what_they_hold() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"{\"score\": 0.50}").unwrap();
    let mut call = record(1);
    let response = &mut call["response"];
    response["headers"] = json!({"content-encoding": "gzip"});
    response["body"] = STANDARD.encode(packed.finish().unwrap()).into();
    response["encoding"] = "base64".into();
    let text = format!("{call}\n");
    for (body, mismatches) in [("{\"score\": 0.5}", 0), ("{\"score\": 0.7}", 1)] {
        let target = answering(body);
        let replay = Replay::of_text(&text).against(&target.url(""));
        assert_eq!(replay.verdict()["mismatches"], mismatches, "{body}");
    }
}

#[test]
fn too_few_calls_without_a_mismatch_are_unproven() {
    let target = answering(ANSWER);
    let replay = Replay::of(12).against(&target.url(""));
    assert_eq!(replay.code(), 2);
    assert_eq!(replay.verdict()["outcome"], "unproven");
}

#[test]
fn repeated_calls_prove_no_more_than_one() {
    let lines = format!("{}\n", record(0)).repeat(400);
    let target = answering(ANSWER);
    let replay = Replay::of_text(&lines).with(&target.url(""), &["--max-rate", "0.01"]);
    assert_eq!(replay.code(), 2);
    assert_eq!(
        (&replay.verdict()["records"], &replay.verdict()["distinct"]),
        (&json!(400), &json!(1))
    );
}

#[test]
fn one_ulp_breaks_parity_and_is_named() {
    let target = answering(
        "{\"label\": \"spam\", \"score\": 0.97, \"scores\": {\"ham\": 0.030000000000000002, \"spam\": 0.97}}\n",
    );
    let replay = Replay::of(6).against(&target.url(""));
    assert_eq!(replay.code(), 1);
    let verdict = replay.verdict();
    assert_eq!((&verdict["outcome"], &verdict["mismatches"]), (&json!("broken"), &json!(6)));
    let expected = json!([
        {"field": "scores.ham", "kind": "ulp", "model": "offensive",
         "clients": ["alehouse", "plain/store", "toybox"], "records": 3, "tolerated": false, "example": "id-1"},
        {"field": "scores.ham", "kind": "ulp", "model": "spam",
         "clients": ["alehouse", "plain/store", "toybox"], "records": 3, "tolerated": false, "example": "id-0"},
    ]);
    assert_eq!(verdict["clusters"], expected);
}

#[test]
fn swapped_labels_and_a_missing_field_are_told_apart() {
    let target = Target::start(|request| {
        let swapped =
            "{\"label\": \"ham\", \"score\": 0.97, \"scores\": {\"ham\": 0.03, \"spam\": 0.97}}\n";
        let missing = "{\"label\": \"spam\", \"scores\": {\"ham\": 0.03, \"spam\": 0.97}}\n";
        Reply::new(200, LINES, if request.body.contains("call 0") { swapped } else { missing })
    });
    let replay = Replay::of(3).against(&target.url(""));
    assert_eq!(replay.code(), 1);
    let found = replay.clusters();
    let cluster = |field: &str, kind: &str| (field.to_owned(), kind.to_owned(), 1);
    let expected =
        [cluster("label", "label"), cluster("score", "missing"), cluster("score", "missing")];
    assert_eq!(found, expected);
}

#[test]
fn half_a_line_is_a_truncated_answer() {
    let target = answering("{\"label\": \"spam\", \"sco");
    let replay = Replay::of(2).against(&target.url(""));
    assert_eq!(replay.code(), 1);
    assert!(
        replay.clusters().iter().all(|(field, kind, _)| field == "body" && kind == "truncated")
    );
}

#[test]
fn another_status_is_a_difference() {
    let target = Target::start(|_| Reply::new(503, "application/problem+json", "{}"));
    let replay = Replay::of(1).against(&target.url(""));
    assert_eq!(replay.clusters(), [("status".to_owned(), "status".to_owned(), 1)]);
}

#[test]
fn a_target_that_is_down_or_cuts_the_wire_breaks_every_record() {
    let down = Target::down();
    let cutting = Target::start(|_| Reply::cut());
    for (target, reason) in [(down, "refused"), (cutting.url(""), "record ")] {
        let replay = Replay::of(5).against(&target);
        assert_eq!(replay.code(), 1);
        let verdict = replay.verdict();
        assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(5), &json!(5)));
        assert!(
            replay.clusters().iter().all(|(field, kind, _)| field == "response" && kind == "error")
        );
        assert!(replay.stdout().contains(reason), "{}", replay.stdout());
    }
}

#[test]
fn a_target_that_does_not_answer_in_time_is_a_mismatch() {
    let target = Target::start(|_| Reply::never());
    let replay = Replay::of(1).with(&target.url(""), &["--timeout", "50ms"]);
    assert_eq!(replay.code(), 1);
    assert!(replay.stdout().contains("no answer within 50ms"), "{}", replay.stdout());
}

#[test]
fn model_and_client_are_filled_into_the_target() {
    let target = Target::start(|request| {
        let known = ["/spam/alehouse/x", "/offensive/toybox/x", "/spam/plain%2Fstore/x"];
        Reply::new(if known.contains(&request.path.as_str()) { 200 } else { 404 }, LINES, ANSWER)
    });
    let replay = Replay::of(3).against(&target.url("/{model}/{client}/x"));
    assert_eq!(replay.verdict()["mismatches"], 0);
}

#[test]
fn a_captured_call_without_an_answer_is_a_mismatch() {
    let mut call = record(0);
    call["response"] = Value::Null;
    call["error"] = "timed out".into();
    let target = answering(ANSWER);
    let replay = Replay::of_text(&call.to_string()).against(&target.url(""));
    assert_eq!(replay.code(), 1);
    assert_eq!(replay.clusters(), [("response".to_owned(), "unanswered".to_owned(), 1)]);
}

#[test]
fn allowed_mismatches_do_not_break_and_count_in_the_bound() {
    let target = Target::start(|request| {
        Reply::new(200, LINES, if request.body.contains("call 7\"") { "{}\n" } else { ANSWER })
    });
    let options = ["--allow", "1", "--max-rate", "0.02"];
    let replay = Replay::of(300).with(&target.url(""), &options);
    assert_eq!(replay.code(), 0, "{}", replay.stdout());
    let rate = replay.verdict()["bound"]["mismatch_rate"].as_f64().unwrap();
    assert!((rate - 0.015_712).abs() < 1e-5, "{rate}");
}

#[test]
fn the_exit_code_may_follow_the_worst_group() {
    let target = answering(ANSWER);
    let options = ["--max-rate", "0.01", "--require", "groups"];
    let replay = Replay::of(300).with(&target.url(""), &options);
    assert_eq!(replay.code(), 2);
    let verdict = replay.verdict();
    assert_eq!(verdict["outcome"], "parity");
    let groups = verdict["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 6);
    assert_eq!(
        (&groups[0]["model"], &groups[0]["client"], &groups[0]["records"], &groups[0]["outcome"]),
        (&json!("offensive"), &json!("alehouse"), &json!(50), &json!("unproven"))
    );
}

#[test]
fn groups_that_are_fine_each_by_itself_do_not_hide_a_broken_whole() {
    let target = Target::start(|request| {
        let differs = request.body.contains("call 7\"") || request.body.contains("call 8\"");
        Reply::new(200, LINES, if differs { "{}\n" } else { ANSWER })
    });
    let options = ["--allow", "1", "--max-rate", "0.2", "--require", "groups"];
    let replay = Replay::of(300).with(&target.url(""), &options);
    assert_eq!((replay.code(), &replay.verdict()["outcome"]), (1, &json!("broken")));
}

#[test]
fn the_same_request_to_two_models_is_two_distinct_ones() {
    let target = answering(ANSWER);
    let other = record(1).to_string().replace("\"offensive\"", "\"spam\"");
    let replay = Replay::of_text(&format!("{}\n{}\n{other}\n", record(1), record(1)));
    let replay = replay.against(&target.url(""));
    assert_eq!(
        (&replay.verdict()["records"], &replay.verdict()["distinct"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn no_records_show_nothing() {
    let target = answering(ANSWER);
    let replay = Replay::of(0).with(&target.url(""), &["--max-rate", "1"]);
    assert_eq!((replay.code(), &replay.verdict()["outcome"]), (2, &json!("unproven")));
}

#[test]
fn a_bad_record_ends_the_replay_and_leaves_no_older_verdict() {
    let target = answering(ANSWER);
    let text = format!("{}\n{{\"schema_version\": 1}}\n", record(0));
    let replay = Replay::of_text(&text);
    std::fs::create_dir(replay.out()).unwrap();
    std::fs::write(replay.out().join("verdict.json"), "{\"outcome\": \"parity\"}").unwrap();
    let replay = replay.against(&target.url(""));
    assert_eq!(replay.code(), 70);
    assert!(replay.stderr().contains("records.jsonl:2: missing field"), "{}", replay.stderr());
    assert!(!replay.out().join("verdict.json").exists());
}

#[test]
fn what_is_not_understood_is_a_usage_error() {
    for (target, more, reason) in [
        ("sagemaker:", &[][..], "endpoint's name"),
        ("http://127.0.0.1:1", &["--rules", "nowhere.toml"], "`nowhere.toml`: No such file"),
        ("http://127.0.0.1:1", &["--max-rate", "2"], "from 0 to 1"),
        ("http://127.0.0.1:1", &["--confidence", "1"], "between 0 and 1"),
        ("http://127.0.0.1:1", &["--concurrency", "0"], "--concurrency"),
        ("nowhere", &[], "must begin with http://"),
    ] {
        let replay = Replay::of(1).with(target, more);
        assert_eq!(replay.code(), 64, "{target} {more:?}");
        assert!(replay.stderr().contains(reason), "{}", replay.stderr());
        assert!(!replay.out().exists());
    }
}

#[test]
fn a_record_without_a_captured_answer_proves_nothing() {
    let target = Target::start(|_| Reply::cut());
    let mut call = record(0);
    (call["response"], call["error"]) = (Value::Null, json!("connection reset"));
    let replay = Replay::of_text(&call.to_string()).with(&target.url(""), &["--max-rate", "1"]);
    let verdict = replay.verdict();
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&verdict["distinct"], &verdict["bound"]["mismatch_rate"]),
        (&json!(0), &json!(1.0))
    );
}
