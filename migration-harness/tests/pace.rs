//! Replays at a fixed rate or at the recorded one. Times are bounded below alone: a machine may be
//! as slow as it likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod run;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod target;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use run::{ANSWER, LINES, Replay, record};
use serde_json::json;
use target::{Reply, Target};

fn prompt() -> Target {
    Target::start(|_| Reply::new(200, LINES, ANSWER))
}

#[test]
fn a_rate_is_never_exceeded_and_no_call_is_left_out() {
    let target = prompt();
    let begun = Instant::now();
    let replay = Replay::of(200).with(&target.url(""), &["--rate", "1000", "--concurrency", "50"]);
    assert!(begun.elapsed() >= Duration::from_millis(198), "{:?}", begun.elapsed());
    assert_eq!(replay.verdict()["records"], 200);
}

#[test]
fn what_a_stall_has_delayed_is_late_by_as_much_and_is_not_caught_up_with() {
    let calls = AtomicUsize::new(0);
    let target = Target::start(move |_| {
        if calls.fetch_add(1, Relaxed) == 0 {
            thread::sleep(Duration::from_millis(300));
        }
        Reply::new(200, LINES, ANSWER)
    });
    let begun = Instant::now();
    let options = ["--rate", "200", "--concurrency", "1"];
    let replay = Replay::of(41).with(&target.url(""), &options);
    assert!(begun.elapsed() >= Duration::from_millis(300 + 38 * 5), "{:?}", begun.elapsed());
    let late: Vec<_> =
        replay.answers().iter().map(|a| a["lateness_us"].as_u64().unwrap()).collect();
    assert!(late[1..].iter().all(|late| *late >= 290_000), "{late:?}");
    let timing = &replay.json("report.json")["timing"];
    let p50 = |times: &str| timing[times]["p50_us"].as_u64().unwrap();
    assert!(p50("response") >= p50("lateness") && p50("lateness") >= 290_000, "{timing}");
    assert_eq!(timing["captured"]["p50_us"], 812);
}

#[test]
fn recorded_gaps_are_kept_to_and_odd_ones_told() {
    let target = prompt();
    let seconds = ["00.1", "00.2", "00.1", "00.3", "59.9"];
    let lines = seconds.iter().enumerate().map(|(number, second)| {
        let mut record = record(number);
        record["captured_at"] = json!(format!("2026-11-21T10:00:{second}Z"));
        format!("{record}\n")
    });
    let begun = Instant::now();
    let options = ["--recorded", "--speed", "2", "--max-gap", "500ms"];
    let replay = Replay::of_text(&lines.collect::<String>()).with(&target.url(""), &options);
    assert!(begun.elapsed() >= Duration::from_millis(50 + 100 + 250), "{:?}", begun.elapsed());
    let told = "ran backwards 1 times, which was taken as no gap, and 1 gaps were cut";
    assert!(replay.stderr().contains(told), "{}", replay.stderr());
    assert_eq!(replay.verdict()["records"], 5);
}

#[test]
fn a_pace_that_makes_no_sense_is_refused() {
    for (options, reason) in [
        (&["--rate", "0"][..], "`--rate` must be from 0.001"),
        (&["--rate", "nan"], "`--rate` must be from 0.001"),
        (&["--rate", "1e-9"], "`--rate` must be from 0.001"),
        (&["--rate", "5", "--recorded"], "--recorded"),
        (&["--speed", "2"], "--recorded"),
        (&["--recorded", "--speed", "0"], "`--speed` must be from 0.001"),
        (&["--recorded", "--speed", "1e-300"], "`--speed` must be from 0.001"),
    ] {
        let replay = Replay::of(1).with("http://127.0.0.1:1", options);
        assert_eq!(replay.code(), 64, "{options:?}");
        assert!(replay.stderr().contains(reason), "{}", replay.stderr());
    }
}
