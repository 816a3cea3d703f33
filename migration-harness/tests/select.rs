//! Selecting a suite out of a capture with the built binary, and replaying it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sides;
#[expect(dead_code, reason = "other tests need more of it")]
mod target;

use serde_json::{Value, json};
use sides::{ANSWER, Ended, Folder, records, run, text};
use target::{Reply, Target};

/// The records of a part of the suite.
fn part(folder: &Folder, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path("suite").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn select(folder: &Folder, more: &[&str]) -> Ended {
    let (calls, suite) = (folder.path("calls.jsonl"), folder.path("suite"));
    let mut arguments = vec!["select", "--records", text(&calls), "--out", text(&suite)];
    arguments.extend(more);
    run(&arguments, &[])
}

fn replay(folder: &Folder, target: &Target, out: &str, more: &[&str]) -> Ended {
    let (suite, out) = (folder.path("suite"), folder.path(out));
    let url = target.url("");
    let mut arguments = vec!["replay", "--records", text(&suite), "--target", &url];
    arguments.extend(["--out", text(&out), "--quiet"]);
    arguments.extend(more);
    run(&arguments, &[])
}

#[test]
fn only_what_was_drawn_at_random_counts_for_the_bound() {
    let folder = Folder::new();
    folder.write("calls.jsonl", &records(0..500));
    let ended = select(&folder, &["--random", "100"]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let cover = part(&folder, "cover.jsonl");
    assert!((2..100).contains(&cover.len()), "{}", cover.len());
    assert!(cover.iter().all(|record| record["part"] == "cover"));
    assert_eq!(part(&folder, "random.jsonl").len(), 100);
    let target = Target::start(|_| Reply::new(200, "application/json", ANSWER));
    let ended = replay(&folder, &target, "report", &["--max-rate", "0.03"]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout());
    let verdict = folder.json("report/verdict.json");
    assert_eq!(verdict["records"], json!(100 + cover.len()));
    assert_eq!(verdict["distinct"], 100);
}

#[test]
fn what_broke_once_is_in_the_suite_and_breaks_it_again() {
    let folder = Folder::new();
    folder.write("calls.jsonl", &records(0..200));
    assert_eq!(select(&folder, &["--random", "200"]).code(), 0);
    let faulty = || {
        Target::start(|request| {
            let other = r#"{"label": "ham", "score": 0.97}"#;
            let body = if request.body.contains("call 77\"") { other } else { ANSWER };
            Reply::new(200, "application/json", body)
        })
    };
    let (first, again) = (faulty(), faulty());
    assert_eq!(replay(&folder, &first, "first", &[]).code(), 1);
    let past = folder.path("first");
    let ended = select(
        &folder,
        &["--random", "0", "--cover", "0", "--closest", "0", "--past", text(&past)],
    );
    assert!(ended.stdout().contains("1 of 1 past mismatches"), "{}", ended.stdout());
    let cover = part(&folder, "cover.jsonl");
    assert_eq!(cover.iter().map(|record| &record["id"]).collect::<Vec<_>>(), ["id-77"]);
    assert_eq!(replay(&folder, &again, "second", &[]).code(), 1);
}

#[test]
fn all_that_broke_once_is_in_the_suite_as_far_as_is_asked_for() {
    let folder = Folder::new();
    let calls = folder.write("calls.jsonl", &records(0..200));
    let mut others = records(0..200);
    for record in &mut others[..150] {
        record["response"]["body"] = r#"{"label": "ham", "score": 0.97}"#.into();
    }
    let (others, past) = (folder.write("others.jsonl", &others), folder.path("past"));
    let diff = ["diff", "--old", text(&calls), "--new", text(&others), "--out", text(&past)];
    assert_eq!(run(&diff, &[]).code(), 1);
    let nothing_else = ["--random", "0", "--cover", "0", "--closest", "0", "--past", text(&past)];
    // A report shows twenty records of each of two models.
    for (limit, selected) in [("1000", 150), ("5", 45), ("0", 40)] {
        let options = [&nothing_else[..], &["--past-limit", limit]].concat();
        let ended = select(&folder, &options);
        let told = format!("{selected} of 150 past mismatches are among them");
        assert!(ended.stdout().contains(&told), "{} {}", ended.stdout(), ended.stderr());
        assert_eq!(ended.stdout().contains("`--past-limit` leaves out"), selected < 150);
        assert_eq!(part(&folder, "cover.jsonl").len(), selected);
    }
}

#[test]
fn what_can_not_be_read_is_named() {
    let folder = Folder::new();
    folder.write("calls.jsonl", &records(0..3));
    let ended = select(&folder, &["--past", "nowhere"]);
    assert_eq!(ended.code(), 70);
    assert!(ended.stderr().contains("`nowhere/report.json`"), "{}", ended.stderr());
}

#[test]
fn a_record_is_in_one_part_of_the_suite_alone() {
    let folder = Folder::new();
    folder.write("calls.jsonl", &records(0..50));
    assert_eq!(select(&folder, &["--random", "40"]).code(), 0);
    let mut ids: Vec<_> = ["cover.jsonl", "random.jsonl"]
        .iter()
        .flat_map(|name| part(&folder, name))
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let covering = folder.json("suite/suite.audit.json")["cover"]["records"].as_u64().unwrap();
    assert_eq!(all as u64, covering + 40);
}
