//! Each kind of fault that a migration may bring is found, and told apart from the others, among
//! more than 20,000 calls; where nothing is wrong, nothing is found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fault;
#[expect(dead_code, reason = "other tests need the rest")]
mod run;
#[expect(dead_code, reason = "other tests need the rest")]
mod target;

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use fault::{CLIENTS, Call, FAULTS};
use run::Replay;
use serde_json::{Value, json};
use target::{Received, Reply, Target};

/// How late an answer may be, and how late those are that are late.
const AT_MOST: Duration = Duration::from_secs(4);
const LATE: Duration = Duration::from_millis(4_500);

/// A captured call, with the sound answer.
fn record(model: &str, call: Call) -> String {
    let answer = call.sound();
    let record = json!({
        "schema_version": 1,
        "id": format!("{model}-{}", call.number),
        "captured_at": "2026-11-21T10:00:00.123456Z",
        "model": model,
        "client": call.client,
        "request": {
            "method": "POST", "path": "/", "content_type": "application/json",
            "body": json!({"text": format!("call {}", call.number)}).to_string(), "encoding": "utf8",
        },
        "response": {
            "status": answer.status, "content_type": answer.content_type,
            "body": answer.body(), "encoding": "utf8",
        },
        "latency_us": 900,
    });
    record.to_string() + "\n"
}

fn records() -> String {
    let calls = FAULTS
        .iter()
        .flat_map(|fault| (0..fault.records).map(|number| record(fault.model, Call::new(number))));
    calls.collect()
}

/// The model that is called, and which of its calls it is.
fn called(request: &Received) -> (&str, Call) {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let number = body["text"].as_str().unwrap().strip_prefix("call ").unwrap().parse().unwrap();
    (request.path.split('/').nth(1).unwrap(), Call::new(number))
}

fn faulty(request: &Received) -> Reply {
    let (model, call) = called(request);
    let fault = FAULTS.iter().find(|fault| fault.model == model).unwrap();
    let mut answer = call.sound();
    if (fault.is_planted)(call) {
        (fault.plant)(call, &mut answer);
    }
    if answer.is_cut {
        return Reply::cut();
    }
    if answer.is_late {
        thread::sleep(LATE);
    }
    Reply::new(answer.status, answer.content_type, answer.body().leak())
}

/// The same values, written in another way.
fn sound(request: &Received) -> Reply {
    let answer = called(request).1.sound();
    let body = serde_json::to_string_pretty(&answer.value).unwrap().replace('é', "\\u00e9");
    Reply::new(answer.status, answer.content_type, body.leak())
}

/// All records, replayed against a target that does what the function says.
fn replay(target: fn(&Received) -> Reply) -> Replay {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let text = format!("[[rule]]\nfield = \"latency\"\nat_most = \"{}s\"\n", AT_MOST.as_secs());
    std::fs::write(&rules, text).unwrap();
    let target = Target::start(target);
    let url = target.url("/{model}/{client}");
    Replay::of_text(&records()).with(&url, &["--rules", rules.to_str().unwrap()])
}

/// The clusters of the verdict that nothing permits.
fn clusters(verdict: &Value) -> impl Iterator<Item = &Value> {
    verdict["clusters"].as_array().unwrap().iter().filter(|it| it["tolerated"] == json!(false))
}

#[test]
fn each_planted_fault_is_found_and_named() {
    let replay = replay(faulty);
    assert_eq!(replay.code(), 1, "{}", replay.stderr());
    let verdict = replay.verdict();
    let total: usize = FAULTS.iter().map(|fault| fault.records).sum();
    let planted: usize = FAULTS.iter().map(|fault| fault.planted().count()).sum();
    assert!(total > 20_000 && FAULTS.len() > 25);
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(total), &json!(planted)));
    let mut expected = 0;
    for fault in FAULTS {
        let clients: BTreeSet<_> = fault.planted().map(|call| call.client).collect();
        for (field, kind) in fault.clusters {
            let found = clusters(&verdict).find(|cluster| {
                cluster["model"] == fault.model
                    && cluster["field"] == *field
                    && cluster["kind"] == *kind
            });
            let found = found.unwrap_or_else(|| panic!("{}: no {field} {kind}", fault.model));
            assert_eq!(found["records"], json!(fault.planted().count()), "{}", fault.model);
            assert_eq!(found["clients"], json!(clients), "{}", fault.model);
            expected += 1;
        }
    }
    assert_eq!(clusters(&verdict).count(), expected, "no cluster stands for nothing");
}

#[test]
fn nothing_is_found_where_only_the_text_differs() {
    let replay = replay(sound);
    let verdict = replay.verdict();
    assert_eq!((replay.code(), &verdict["outcome"]), (0, &json!("parity")), "{}", replay.stdout());
    assert_eq!((clusters(&verdict).count(), &verdict["mismatches"]), (0, &json!(0)));
    assert_eq!(verdict["groups"].as_array().unwrap().len(), FAULTS.len() * CLIENTS.len());
}
