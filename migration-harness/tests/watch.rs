//! Watches with the built binary, between a legacy system and a target of the test's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod target;
mod watching;
mod wire;

use std::fs;

use serde_json::json;
use target::{Reply, Target};
use watching::{Watch, refused};

const JSON: &str = "application/json";
const LEGACY: &str = "{\"label\": \"spam\", \"score\": 0.97}";
const ROUNDED: &str = "{\"label\": \"spam\", \"score\": 0.9}";

fn legacy() -> Target {
    Target::start(|_| Reply::new(200, JSON, LEGACY))
}

#[test]
fn what_both_sides_answer_alike_is_parity_by_a_bound_that_may_be_looked_at_at_any_time() {
    let (legacy, target) = (legacy(), legacy());
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--max-rate", "0.3"]);
    watch.post_all(0..20);
    assert!(watch.post("toybox", "call 1").ends_with(LEGACY));
    let watched = watch.stop();
    assert_eq!(watched.code, 0, "{}", watched.stdout);
    assert!(watched.stdout.starts_with("parity: 0 of 21 records differ\n"), "{}", watched.stdout);
    let summary = fs::read_to_string(watched.folder.path().join("summary.md")).unwrap();
    assert!(summary.contains("at 95 % confidence, whenever one looks; 0.3 is"), "{summary}");
    let verdict = watched.verdict();
    assert_eq!((&verdict["records"], &verdict["distinct"]), (&json!(21), &json!(20)));
    // Clopper-Pearson's, for those who look once, is 0.1391.
    let bound = verdict["bound"]["mismatch_rate"].as_f64().unwrap();
    assert!((0.15..0.25).contains(&bound), "{bound}");
    let report = watched.report();
    assert_eq!(report["limits"]["looks"], "anytime");
    assert_eq!(report["run"]["command"], "watch");
    assert_eq!(report["timing"]["captured"]["count"], 21);
}

#[test]
fn a_target_that_differs_is_found_and_callers_get_the_legacy_answer() {
    let legacy = legacy();
    let target = Target::start(|request| {
        let is_long = request.body.ends_with('7');
        Reply::new(200, JSON, if is_long { ROUNDED } else { LEGACY })
    });
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--every", "20ms"]);
    for number in 0..20 {
        assert!(watch.post("toybox", &format!("call {number}")).ends_with(LEGACY));
    }
    watch.wait_until(|watch| watch.metric("outcome{outcome=\"broken\"}") == 1.0);
    watch.wait_until(|watch| watch.reported() == 20);
    let watched = watch.stop();
    assert_eq!(watched.code, 1);
    let verdict = watched.verdict();
    assert_eq!(verdict["mismatches"], 2);
    let cluster = &verdict["clusters"][0];
    assert_eq!((&cluster["field"], &cluster["model"]), (&json!("score"), &json!("spam")));
    assert_eq!((&cluster["clients"], &cluster["records"]), (&json!(["toybox"]), &json!(2)));
    let example = &watched.report()["clusters"][0]["example"];
    assert_eq!(example["record"]["request"]["body"], "call 7");
    assert_eq!(example["reply"]["response"]["body"], ROUNDED);
}

#[test]
fn rules_permit_what_may_differ() {
    let (legacy, target) = (legacy(), Target::start(|_| Reply::new(200, JSON, ROUNDED)));
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let rule = "[[rule]]\nname = \"about\"\nfield = \"score\"\nabsolute = 0.1\n";
    fs::write(&rules, rule).unwrap();
    let more = ["--max-rate", "0.5", "--rules", rules.to_str().unwrap()];
    let watch = Watch::of(&legacy.url(""), &target.url(""), &more);
    watch.post_all(0..20);
    let watched = watch.stop();
    assert_eq!((watched.code, &watched.verdict()["clusters"][0]["tolerated"]), (0, &json!(true)));
}

#[test]
fn a_target_that_is_down_is_no_mismatch_and_no_concern_of_callers() {
    let legacy = legacy();
    let watch = Watch::of(&legacy.url(""), &Target::down(), &[]);
    watch.post_all(0..10);
    watch.wait_until(|watch| watch.metric("missed_total{reason=\"unreachable\"}") == 10.0);
    let watched = watch.stop();
    assert_eq!((watched.code, &watched.verdict()["records"]), (2, &json!(0)));
    let said = "Calls that were not compared: 10, as the target let nobody connect.";
    assert!(watched.stdout.contains(said), "{}", watched.stdout);
}

#[test]
fn a_target_that_takes_calls_and_does_not_answer_differs() {
    let (legacy, target) = (legacy(), Target::start(|_| Reply::never()));
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--timeout", "100ms"]);
    watch.post_all(0..3);
    let watched = watch.stop();
    assert_eq!((watched.code, &watched.verdict()["mismatches"]), (1, &json!(3)));
    assert_eq!(watched.verdict()["clusters"][0]["kind"], "error");
}

#[test]
fn callers_do_not_wait_for_a_slow_target_and_what_it_can_not_keep_up_with_is_counted() {
    let (legacy, target) = (legacy(), Target::start(|_| Reply::never()));
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--concurrency", "1"]);
    let long = "x".repeat(1 << 20);
    (0..80).for_each(|_| assert!(watch.post("toybox", &long).ends_with(LEGACY)));
    watch.wait_until(|watch| watch.metric("missed_total{reason=\"behind\"}") > 0.0);
    watch.kill();
}

#[test]
fn calls_that_were_not_captured_whole_are_neither_sent_nor_judged() {
    let legacy = Target::start(|request| match request.body.as_str() {
        "cut" => Reply::cut(),
        _ => Reply::new(200, JSON, LEGACY),
    });
    let target = Target::start(|request| {
        assert_eq!(request.body, "whole");
        Reply::new(200, JSON, LEGACY)
    });
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--max-body", "64"]);
    assert!(watch.post("toybox", "cut").starts_with("HTTP/1.1 502 "));
    assert!(watch.post("toybox", &"long".repeat(20)).ends_with(LEGACY));
    assert!(watch.post("toybox", "whole").ends_with(LEGACY));
    let watched = watch.stop();
    let verdict = watched.verdict();
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(1), &json!(0)));
    let reason = "they had no whole request or answer";
    assert_eq!(watched.report()["not_compared"], json!({reason: 2}));
}

#[test]
fn the_target_is_asked_its_share_of_the_calls() {
    let (legacy, target) = (legacy(), legacy());
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--share", "0.25"]);
    watch.post_all(0..400);
    let records = watch.stop().verdict()["records"].as_u64().unwrap();
    assert!((50..150).contains(&records), "{records}");
}

#[test]
fn a_watch_that_was_stopped_goes_on_counting_where_it_was() {
    let (legacy, target) = (legacy(), legacy());
    let watch = Watch::of(&legacy.url(""), &target.url(""), &[]);
    watch.post_all(0..20);
    let folder = watch.stop().folder;
    let watch = Watch::again(folder, &legacy.url(""), &target.url(""), &[]);
    assert_eq!(watch.reported(), 20);
    watch.post_all(10..30);
    let watched = watch.stop();
    let (verdict, report) = (watched.verdict(), watched.report());
    assert_eq!((&verdict["records"], &verdict["distinct"]), (&json!(40), &json!(30)));
    assert_eq!(report["run"]["resumed"], 1);
    assert_eq!(report["timing"]["service"]["count"], 40);
    let left = fs::read_dir(watched.folder.path().join("watch")).unwrap();
    assert_eq!(left.count(), 3, "the lock, the state, and one folder of counts");
}

#[test]
fn a_watch_that_was_killed_goes_on_from_its_last_report() {
    let legacy = legacy();
    let target = Target::start(|_| Reply::new(200, JSON, ROUNDED));
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--every", "20ms"]);
    watch.post_all(0..20);
    watch.wait_until(|watch| watch.reported() == 20);
    let folder = watch.kill();
    let watch = Watch::again(folder, &legacy.url(""), &target.url(""), &[]);
    assert_eq!(watch.metric("mismatches_total{model=\"spam\",client=\"toybox\"}"), 10.0);
    watch.post_all(20..21);
    let watched = watch.stop();
    let verdict = watched.verdict();
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(21), &json!(21)));
    assert_eq!(verdict["clusters"][0]["records"], 21);
}

#[test]
fn callers_are_served_before_what_was_counted_is_read() {
    let (legacy, target) = (legacy(), legacy());
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--every", "20ms"]);
    watch.post_all(0..1);
    let folder = watch.stop().folder;
    let counts = folder.path().join("watch");
    let mut names = fs::read_dir(&counts).unwrap().map(|entry| entry.unwrap().path());
    let last = names.find(|path| path.to_string_lossy().contains("counts-")).unwrap();
    fs::rename(last.join("tally.json"), last.join("elsewhere")).unwrap();
    let watch = Watch::again(folder, &legacy.url(""), &target.url(""), &["--every", "20ms"]);
    assert_eq!((watch.reported(), watch.metric("distinct_requests")), (1, 1.0));
    let of = |client: &str| format!("records_total{{model=\"spam\",client=\"{client}\"}}");
    assert_eq!(watch.metric(&of("alehouse")), 1.0);
    watch.post_all(1..2);
    watch.wait_until(|watch| watch.metric(&of("toybox")) == 1.0);
    // Nothing was given up for it.
    fs::rename(last.join("elsewhere"), last.join("tally.json")).unwrap();
    watch.wait_until(|watch| watch.reported() == 2);
    assert_eq!(watch.stop().verdict()["distinct"], 2);
}

#[test]
fn a_report_that_can_not_be_written_concerns_no_caller_and_is_made_up_for() {
    let (legacy, target) = (legacy(), legacy());
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--every", "20ms"]);
    watch.post_all(0..10);
    watch.wait_until(|watch| watch.reported() == 10);
    let counts = watch.folder.path().join("watch");
    let obstacle = counts.join(".watch.json.partial");
    watch.wait_until(|_| fs::create_dir(&obstacle).is_ok());
    watch.post_all(10..20);
    let of = |client: &str| format!("records_total{{model=\"spam\",client=\"{client}\"}}");
    watch.wait_until(|watch| watch.metric(&of("alehouse")) + watch.metric(&of("toybox")) == 20.0);
    let folders = || {
        let names = fs::read_dir(&counts).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("counts-")).count()
    };
    watch.wait_until(|_| folders() == 2);
    fs::remove_dir(&obstacle).unwrap();
    watch.wait_until(|watch| watch.reported() == 20);
    watch.post_all(20..21);
    let watched = watch.stop();
    assert_eq!(watched.verdict()["records"], 21);
    assert_eq!(watched.report()["timing"]["service"]["count"], 21);
}

#[test]
fn the_metrics_hold_what_the_report_says() {
    let legacy = legacy();
    let target = Target::start(|request| {
        Reply::new(200, JSON, if request.body == "call 4" { ROUNDED } else { LEGACY })
    });
    let watch = Watch::of(&legacy.url(""), &target.url(""), &["--every", "20ms"]);
    watch.post_all(0..15);
    watch.wait_until(|watch| watch.metric("distinct_requests") == 15.0);
    let of = |name: &str, client: &str| {
        watch.metric(&format!("{name}{{model=\"spam\",client=\"{client}\"}}"))
    };
    let counts = ["records_total", "mismatches_total"];
    let found = counts.map(|name| [of(name, "alehouse"), of(name, "toybox")]);
    assert_eq!(found, [[8.0, 7.0], [1.0, 0.0]]);
    assert_eq!(watch.reported(), 15);
    assert_eq!(watch.metric("target_duration_seconds_count"), 15.0);
    assert_eq!(watch.metric("upstream_duration_seconds_count"), 15.0);
    assert!(watch.metric("report_timestamp_seconds") > 1.7e9);
    let bounds =
        [of("group_mismatch_bound_ratio", "alehouse"), watch.metric("mismatch_bound_ratio")];
    let verdict = watch.stop().verdict();
    let group = &verdict["groups"][0];
    assert_eq!((&group["client"], &group["records"]), (&json!("alehouse"), &json!(8)));
    let reported = [&group["mismatch_rate"], &verdict["bound"]["mismatch_rate"]];
    assert_eq!(reported.map(|rate| rate.as_f64().unwrap()), bounds);
}

#[test]
fn the_exit_code_follows_the_worst_group_where_that_is_asked_for() {
    let (legacy, target) = (legacy(), legacy());
    for (require, code) in [("whole", 0), ("groups", 2)] {
        let more = ["--max-rate", "0.25", "--require", require];
        let watch = Watch::of(&legacy.url(""), &target.url(""), &more);
        watch.post_all(0..20);
        assert_eq!(watch.stop().code, code, "{require}");
    }
}

#[test]
fn a_folder_with_a_watch_of_something_else_is_refused_unless_it_is_given_up() {
    let (legacy, target) = (legacy(), legacy());
    let watch = Watch::of(&legacy.url(""), &target.url(""), &[]);
    watch.post_all(0..5);
    let second = refused(watch.folder.path(), &legacy.url(""), &target.url(""), &[]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("another watch is counting in"));
    let folder = watch.stop().folder;
    let other = Target::down();
    let output = refused(folder.path(), &legacy.url(""), &other, &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let reason = format!("holds a watch with the target `{}`; `--fresh`", target.url(""));
    assert!(output.status.code() == Some(64) && stderr.contains(&reason), "{stderr}");
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "[[rule]]\nname = \"all\"\nfield = \"score\"\nignore = true\n").unwrap();
    let more = ["--rules", rules.to_str().unwrap()];
    let output = refused(folder.path(), &legacy.url(""), &target.url(""), &more);
    assert!(String::from_utf8_lossy(&output.stderr).contains("with other rules (`none`)"));
    let watch = Watch::again(folder, &legacy.url(""), &other, &["--fresh"]);
    assert_eq!(watch.reported(), 0);
    watch.stop();
}

#[test]
fn what_can_not_be_meant_is_refused_before_any_call() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report");
    for (more, reason) in [
        (["--share", "0"], "`--share` must be above 0 and at most 1, not 0"),
        (["--every", "0s"], "not 0s"),
        (["--max-rate", "2"], "`--max-rate` must be from 0 to 1"),
        (["--rules", "nowhere.toml"], "nowhere.toml"),
    ] {
        let output = refused(&out, "http://127.0.0.1:1", "http://127.0.0.1:2", &more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(64) && stderr.contains(reason), "{stderr}");
    }
    assert!(!out.exists());
}
