//! Replays that are interrupted, taken up again, refused or repeated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod run;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod target;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use run::{ANSWER, LINES, Replay};
use serde_json::{Value, json};
use target::{Reply, Target};

const DIFFERENT: &str =
    "{\"label\": \"ham\", \"score\": 0.97, \"scores\": {\"ham\": 0.03, \"spam\": 0.97}}\n";

/// Answers some calls otherwise, and takes a moment for each.
fn slow_and_partly_different() -> Target {
    Target::start(|request| {
        thread::sleep(Duration::from_millis(1));
        Reply::new(200, LINES, if request.body.contains("7\"") { DIFFERENT } else { ANSWER })
    })
}

fn sequences(answers: &[Value]) -> Vec<u64> {
    let mut sequences: Vec<_> = answers.iter().map(|a| a["sequence"].as_u64().unwrap()).collect();
    sequences.sort_unstable();
    sequences
}

/// How many whole lines there are, also while they are being written.
fn lines(replay: &Replay) -> usize {
    let text = std::fs::read(replay.out().join("answers.jsonl")).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn killed_five_times_it_counts_every_record_once() {
    let target = slow_and_partly_different();
    let undisturbed = Replay::of(1000).against(&target.url(""));
    let mut replay = Replay::of(1000);
    for kill in 1..=5 {
        let mut process = replay.begin(&target.url(""), &[]);
        while lines(&replay) < kill * 120 {
            assert!(process.try_wait().unwrap().is_none(), "it ended before it was killed");
            thread::sleep(Duration::from_millis(1));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(!replay.out().join("verdict.json").exists());
    }
    replay.again(&target.url(""), &[]);
    assert_eq!(replay.code(), 1, "{}", replay.stderr());
    assert!(replay.stderr().contains("goes on after "), "{}", replay.stderr());
    assert!(sequences(&replay.answers()).into_iter().eq(0..1000));
    assert_eq!(replay.verdict(), undisturbed.verdict());
    let report = replay.json("report.json");
    assert_eq!(report["run"]["resumed"], 5);
    assert_eq!(report["timing"]["service"]["count"], 1000);
    assert_eq!(report["timing"]["statuses"], json!({"200": 1000}));
}

/// A replay whose last record can't be read: what came before is done, and it is unfinished.
fn unfinished(target: &Target) -> Replay {
    let records: Vec<_> = (0..20).map(|n| run::record(n).to_string()).collect();
    let replay = Replay::of_text(&format!("{}\nno record\n", records.join("\n")));
    let replay = replay.against(&target.url(""));
    assert_eq!((replay.code(), replay.answers().len()), (70, 20));
    replay
}

#[test]
fn half_a_last_line_is_cut_off_and_its_record_sent_again() {
    let calls = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&calls);
    let target = Target::start(move |_| {
        counted.fetch_add(1, Relaxed);
        Reply::new(200, LINES, ANSWER)
    });
    let mut replay = unfinished(&target);
    let path = replay.out().join("answers.jsonl");
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 9]).unwrap();
    replay.again(&target.url(""), &[]);
    assert!(replay.stderr().contains("goes on after 19 answers"), "{}", replay.stderr());
    assert_eq!((replay.answers().len(), calls.load(Relaxed)), (20, 21));
    assert!(sequences(&replay.answers()).into_iter().eq(0..20));
}

#[test]
fn an_unfinished_replay_is_not_mixed_with_another() {
    let target = Target::start(|_| Reply::new(200, LINES, ANSWER));
    let mut replay = unfinished(&target);
    for (target, more, reason) in [
        ("http://127.0.0.1:1/other", &[][..], "unfinished replay with the target `http://127"),
        (&target.url(""), &["--header", "x-a: 1"], "other request headers"),
    ] {
        replay.again(target, more);
        assert_eq!(replay.code(), 64);
        assert!(replay.stderr().contains(reason), "{}", replay.stderr());
        assert!(replay.stderr().contains("--fresh"), "{}", replay.stderr());
    }
    std::fs::write(replay.records(), format!("{}\n", run::record(0))).unwrap();
    replay.again(&target.url(""), &[]);
    assert!(replay.stderr().contains("before it was changed"), "{}", replay.stderr());
    assert_eq!(replay.answers().len(), 20, "nothing is lost by asking");
    replay.again(&target.url(""), &["--fresh"]);
    assert_eq!((replay.code(), replay.answers().len()), (2, 1), "{}", replay.stderr());
}

#[test]
fn a_finished_replay_is_replaced() {
    let target = Target::start(|_| Reply::new(200, LINES, ANSWER));
    let other = Target::start(|_| Reply::new(200, LINES, DIFFERENT));
    let mut replay = Replay::of(20).against(&target.url(""));
    assert_eq!(replay.code(), 2);
    replay.again(&other.url(""), &[]);
    assert_eq!((replay.code(), &replay.verdict()["mismatches"]), (1, &json!(20)));
    assert_eq!(replay.answers().len(), 20);
    assert_eq!(replay.json("report.json")["run"]["resumed"], 0);
}

#[test]
fn two_replays_do_not_share_a_folder() {
    let target = Target::start(|_| Reply::never());
    let mut replay = Replay::of(4);
    let mut process = replay.begin(&target.url(""), &[]);
    while !replay.out().join("replay.json").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    replay.again(&target.url(""), &[]);
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(replay.code(), 64);
    assert!(replay.stderr().contains("another replay is writing to"), "{}", replay.stderr());
}

#[test]
fn a_target_that_is_down_ends_the_replay_and_is_taken_up_when_it_is_back() {
    let url = Target::down();
    let mut replay = Replay::of(300).against(&url);
    assert_eq!(replay.code(), 70);
    assert!(replay.stderr().contains("let nobody connect for 100 calls"), "{}", replay.stderr());
    assert!(replay.answers().is_empty());
    let address = url.strip_prefix("http://").unwrap();
    let target = Target::start_at(address, |_| Reply::new(200, LINES, ANSWER));
    replay.again(&target.url(""), &["--max-rate", "0.01"]);
    assert_eq!((replay.code(), &replay.verdict()["records"]), (0, &json!(300)));
}

#[test]
fn a_connection_may_be_tried_again_if_that_is_asked_for() {
    let url = Target::down();
    let mut replay = Replay::of(8);
    let mut process = replay.begin(&url, &["--retry", "1000"]);
    while !replay.out().join("replay.json").exists() {
        thread::sleep(Duration::from_millis(1));
    }
    let address = url.strip_prefix("http://").unwrap();
    let _target = Target::start_at(address, |_| Reply::new(200, LINES, ANSWER));
    assert_eq!(process.wait().unwrap().code(), Some(2));
    assert_eq!(replay.verdict()["mismatches"], 0);
    replay.rerun(&[]);
    assert_eq!(replay.code(), 0);
}

#[test]
fn mismatches_sent_again_are_persistent_flaky_or_gone() {
    let asked = Mutex::new(HashMap::<String, usize>::new());
    let target = Target::start(move |request| {
        let mut asked = asked.lock().unwrap();
        let before = asked.entry(request.body.clone()).or_default();
        *before += 1;
        let differs = match request.body.as_str() {
            body if body.contains("call 2\"") => true,
            body if body.contains("call 3\"") => *before % 2 == 1,
            body if body.contains("call 4\"") => *before == 1,
            _ => false,
        };
        let missing = "{\"label\": \"spam\", \"scores\": {\"ham\": 0.03, \"spam\": 0.97}}\n";
        let is_fourth = request.body.contains("call 4\"");
        let other = if is_fourth { missing } else { DIFFERENT };
        Reply::new(200, LINES, if differs { other } else { ANSWER })
    });
    let mut replay = Replay::of(6).against(&target.url(""));
    let verdict = replay.verdict();
    replay.rerun(&["--times", "4"]);
    assert_eq!(replay.code(), 1, "{}", replay.stderr());
    let rerun = replay.json("rerun.json");
    assert_eq!((&rerun["times"], &rerun["records"]), (&json!(4), &json!(3)));
    let courses = rerun["clusters"].as_array().unwrap().iter();
    let courses: Vec<_> =
        courses.map(|c| (c["example"].as_str().unwrap(), c["course"].as_str().unwrap())).collect();
    assert_eq!(courses, [("id-3", "flaky"), ("id-2", "persistent"), ("id-4", "gone")]);
    assert!(replay.stdout().contains("persistent: label "), "{}", replay.stdout());
    assert_eq!(replay.verdict(), verdict, "the verdict stays");
}

#[test]
fn only_a_finished_replay_has_mismatches_to_send_again() {
    let target = Target::start(|_| Reply::new(200, LINES, ANSWER));
    let mut replay = unfinished(&target);
    replay.rerun(&[]);
    assert_eq!(replay.code(), 64);
    assert!(replay.stderr().contains("no finished replay"), "{}", replay.stderr());
}

#[test]
fn noise_of_other_records_is_refused_and_may_lack_some() {
    let target = Target::start(|_| Reply::new(200, LINES, ANSWER));
    let legacy = Replay::of(30).against(&target.url(""));
    let noise = legacy.out().join("answers.jsonl");
    let text = std::fs::read_to_string(&noise).unwrap();
    let fewer: String = text.lines().skip(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(&noise, fewer).unwrap();
    let options = ["--noise", noise.to_str().unwrap()];
    assert_eq!(Replay::of(30).with(&target.url(""), &options).verdict()["records"], 30);
    let others: Vec<_> = (100..130).map(|n| run::record(n).to_string()).collect();
    let replay = Replay::of_text(&(others.join("\n") + "\n")).with(&target.url(""), &options);
    assert_eq!(replay.code(), 70);
    assert!(replay.stderr().contains("a replay of the same records"), "{}", replay.stderr());
}

#[test]
fn what_differs_otherwise_or_is_not_answered_is_not_gone() {
    let runs = Mutex::new(HashMap::<String, usize>::new());
    let target = Target::start(move |request| {
        let mut runs = runs.lock().unwrap();
        let before = runs.entry(request.body.clone()).or_default();
        *before += 1;
        match request.body.as_str() {
            body if body.contains("call 2\"") && *before > 1 => Reply::new(500, LINES, "{}"),
            body if body.contains("call 3\"") && *before > 1 => Reply::cut(),
            _ if *before > 1 => Reply::new(200, LINES, ANSWER),
            _ => Reply::new(200, LINES, DIFFERENT),
        }
    });
    for (number, course) in [(2, "otherwise"), (3, "unanswered"), (4, "gone")] {
        let mut replay = Replay::of_text(&run::record(number).to_string()).against(&target.url(""));
        replay.rerun(&[]);
        assert_eq!(replay.code(), i32::from(course != "gone"), "{}", replay.stderr());
        let clusters = replay.json("rerun.json")["clusters"].clone();
        assert_eq!((&clusters[0]["course"], &clusters[0][course]), (&json!(course), &json!(1)));
        assert!(replay.stdout().contains(course), "{}", replay.stdout());
    }
}

#[test]
fn a_target_that_is_down_makes_no_mismatch_gone() {
    let target = Target::start(|_| Reply::new(200, LINES, DIFFERENT));
    let mut replay = Replay::of(4).against(&target.url(""));
    let state = replay.out().join("replay.json");
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replace(&target.url(""), &Target::down())).unwrap();
    replay.rerun(&[]);
    assert_eq!(replay.code(), 1, "{}", replay.stderr());
    let clusters = replay.json("rerun.json")["clusters"].clone();
    assert!(clusters.as_array().unwrap().iter().all(|it| it["course"] == "unanswered"));
}

#[test]
fn a_replay_whose_outcome_is_known_makes_no_more_calls() {
    let calls = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&calls);
    let target = Target::start(move |_| {
        counted.fetch_add(1, Relaxed);
        Reply::new(200, LINES, DIFFERENT)
    });
    let mut replay = Replay::of(200).with(&target.url(""), &["--sequential"]);
    assert_eq!(replay.code(), 1, "{}", replay.stderr());
    let state = replay.out().join("replay.json");
    let mut unfinished = replay.json("replay.json");
    unfinished["finished_at"] = Value::Null;
    std::fs::write(&state, unfinished.to_string()).unwrap();
    let before = calls.load(Relaxed);
    replay.again(&target.url(""), &["--sequential"]);
    assert_eq!((replay.code(), calls.load(Relaxed)), (1, before), "{}", replay.stderr());
}
