//! Recorded answers compared with others by the built binary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sides;

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sides::{ANSWER, Ended, Folder, record, records, text};

/// Compares the two sides, with more options.
fn diff(folder: &Folder, old: &[Value], new: &[Value], more: &[&str]) -> Ended {
    let (old, new) = (folder.write("old.jsonl", old), folder.write("new.jsonl", new));
    let out = folder.path("report");
    let mut arguments = vec!["diff", "--old", text(&old), "--new", text(&new), "--out", text(&out)];
    arguments.extend(more);
    sides::run(&arguments, &[])
}

fn with_body(number: usize, body: &str) -> Value {
    let mut record = record(number);
    record["response"]["body"] = body.into();
    record
}

/// As an answer in `answers.jsonl`.
fn answer(number: usize) -> Value {
    let mut answer = record(number);
    answer.as_object_mut().unwrap().remove("request");
    answer["sequence"] = number.into();
    answer["sent_at"] = "2026-11-21T10:00:00Z".into();
    answer["lateness_us"] = 3.into();
    answer
}

/// Numbers in an order that is neither theirs nor random.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| number * 7_919 % count)
}

/// Numbers of records in which the sides of `differing_sides` differ.
const DIFFERING: [usize; 3] = [3, 500, 999];

fn differing_sides() -> (Vec<Value>, Vec<Value>) {
    let new = |number| {
        let body =
            if DIFFERING.contains(&number) { r#"{"label": "ham", "score": 0.97}"# } else { ANSWER };
        with_body(number, body)
    };
    (records(0..1_000), shuffled(1_000).map(new).collect())
}

#[test]
fn equal_answers_are_parity_whatever_their_text() {
    let folder = Folder::new();
    let new: Vec<_> =
        (0..300).map(|number| with_body(number, r#"{"score":9.7e-1,"label":"spam"}"#)).collect();
    let ended = diff(&folder, &records(0..300), &new, &["--max-rate", "0.01"]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let verdict = folder.json("report/verdict.json");
    assert_eq!((&verdict["records"], &verdict["distinct"]), (&json!(300), &json!(300)));
    assert_eq!((&verdict["mismatches"], &verdict["clusters"]), (&json!(0), &json!([])));
    assert!(ended.stdout().starts_with("parity: 0 of 300 records differ\n"));
    let report = folder.json("report/report.json");
    assert_eq!((&report["run"]["command"], &report["timing"]), (&json!("diff"), &Value::Null));
}

#[test]
fn sides_in_another_order_meet_in_memory_or_on_disk() {
    let (old, new) = differing_sides();
    for memory in ["64", "0"] {
        let folder = Folder::new();
        let ended = diff(&folder, &old, &new, &["--memory", memory]);
        assert_eq!(ended.code(), 1, "{}", ended.stderr());
        let verdict = folder.json("report/verdict.json");
        assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(1_000), &json!(3)));
        let detail = &folder.json("report/report.json")["clusters"][0];
        assert_eq!(detail["example"]["sequence"], 3);
        assert_eq!(detail["ids"], json!(["id-3", "id-999"]));
    }
}

#[test]
fn nothing_but_the_report_stays_in_the_folder() {
    let (old, new) = differing_sides();
    let folder = Folder::new();
    diff(&folder, &old, &new, &["--memory", "0"]);
    let entries = std::fs::read_dir(folder.path("report")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left = entries.filter(|name| !name.contains('.'));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn calls_that_were_not_captured_whole_are_told_and_not_compared() {
    let folder = Folder::new();
    let mut old = records(0..300);
    (old[7]["response"], old[7]["incomplete"]) = (Value::Null, true.into());
    let new: Vec<_> = records(0..300).into_iter().filter(|it| it["id"] != "id-7").collect();
    let ended = diff(&folder, &old, &new, &["--max-rate", "0.01"]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout());
    assert_eq!(folder.json("report/verdict.json")["records"], 299);
    assert_eq!(folder.json("report/report.json")["incomplete"], 1);
    assert!(ended.stdout().contains("1 call was not captured whole and was not compared."));
    let ended = diff(&folder, &records(0..300), &old, &["--max-rate", "0.01"]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout());
    assert_eq!(folder.json("report/report.json")["incomplete"], 1);
}

#[test]
fn rules_and_reports_read_compressed_answers_as_what_they_hold() {
    let folder = Folder::new();
    let packed = |number: usize, score: &str| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        write!(packer, r#"{{"label": "spam", "score": {score}}}"#).unwrap();
        let mut record = record(number);
        record["response"]["headers"] = json!({"content-encoding": "gzip"});
        record["response"]["body"] = STANDARD.encode(packer.finish().unwrap()).into();
        record["response"]["encoding"] = "base64".into();
        record
    };
    let old: Vec<_> = (0..300).map(|number| packed(number, "0.5")).collect();
    let new: Vec<_> = (0..300).map(|number| packed(number, "0.50001")).collect();
    let rules = folder.path("rules.toml");
    std::fs::write(&rules, "[[rule]]\nname = 'near'\nfield = 'score'\nabsolute = 0.001").unwrap();
    let ended = diff(&folder, &old, &new, &["--rules", text(&rules), "--max-rate", "0.01"]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    let example = &folder.json("report/report.json")["clusters"][0]["example"];
    assert!(example["record"]["response"]["body"].as_str().unwrap().contains("0.5}"), "{example}");
}

#[test]
fn a_record_without_a_partner_is_a_difference_and_a_partner_without_a_record_is_told() {
    for memory in ["64", "0"] {
        let folder = Folder::new();
        let (old, new) = (records(0..100), records((2..105).rev()));
        let ended = diff(&folder, &old, &new, &["--memory", memory]);
        assert_eq!(ended.code(), 1);
        let verdict = folder.json("report/verdict.json");
        assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(100), &json!(2)));
        assert_eq!(verdict["clusters"][0]["kind"], "error");
        assert!(ended.stdout().contains("record 1: unanswered by the new side"));
        let report = folder.json("report/report.json");
        assert_eq!(
            (&report["only_in_new"], &report["failure"]["sequence"]),
            (&json!(5), &json!(0))
        );
        assert!(ended.stderr().contains("new.jsonl:1: `id-104` and 4 more are not in"));
    }
}

#[test]
fn answers_without_requests_are_a_side_too() {
    let folder = Folder::new();
    let new: Vec<_> = shuffled(50).map(answer).collect();
    let ended = diff(&folder, &records(0..50), &new, &["--memory", "0"]);
    assert_eq!(ended.code(), 2, "{}", ended.stderr());
    let verdict = folder.json("report/verdict.json");
    assert_eq!((&verdict["records"], &verdict["mismatches"]), (&json!(50), &json!(0)));
}

#[test]
fn noise_may_lack_records_and_come_in_any_order() {
    let folder = Folder::new();
    let noise = folder.write("noise.jsonl", &shuffled(60).map(answer).collect::<Vec<_>>());
    for memory in ["64", "0"] {
        let options = ["--memory", memory, "--noise", text(&noise)];
        let ended = diff(&folder, &records(0..100), &records(0..100), &options);
        assert_eq!(ended.code(), 2, "{}", ended.stderr());
        assert_eq!(folder.json("report/verdict.json")["records"], 100);
    }
}

#[test]
fn an_id_that_a_side_has_twice_is_named_with_both_places() {
    let twice = |number: usize, place: usize| {
        let mut side = records(0..1_000);
        side.insert(place, record(number));
        side
    };
    for (old, new, places) in [
        (twice(5, 6), records(0..1_000), ["old.jsonl:7", "old.jsonl:6"]),
        (twice(5, 900), records(0..1_000), ["old.jsonl:901", "old.jsonl:6"]),
        (records(0..1_000), twice(5, 900), ["new.jsonl:901", "new.jsonl:6"]),
        (twice(5, 900), twice(5, 900), ["old.jsonl:901", "old.jsonl:6"]),
    ] {
        for memory in ["64", "0"] {
            let folder = Folder::new();
            let ended = diff(&folder, &old, &new, &["--memory", memory]);
            let error = ended.stderr();
            assert_eq!(ended.code(), 70, "{error}");
            assert!(
                error.contains("`id-5`") && places.iter().all(|p| error.contains(p)),
                "{error}"
            );
            assert!(!folder.path("report/verdict.json").exists());
        }
    }
}

#[test]
fn a_line_that_is_no_record_ends_the_comparison_and_leaves_no_older_verdict() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("report")).unwrap();
    std::fs::write(folder.path("report/verdict.json"), "{}").unwrap();
    let ended = diff(&folder, &records(0..3), &[record(0), json!({"id": "id-1"})], &[]);
    assert_eq!(ended.code(), 70);
    assert!(ended.stderr().contains("new.jsonl:2: "), "{}", ended.stderr());
    assert!(!folder.path("report/verdict.json").exists());
}

#[test]
fn what_is_not_there_or_out_of_range_is_named() {
    let folder = Folder::new();
    let ended = diff(&folder, &records(0..1), &records(0..1), &["--noise", "no/such.jsonl"]);
    assert!(ended.code() != 0 && ended.stderr().contains("no/such.jsonl"), "{}", ended.stderr());
    for options in [["--max-rate", "2"], ["--confidence", "0"]] {
        let ended = diff(&folder, &[], &[], &options);
        assert_eq!(ended.code(), 64, "{options:?}");
        assert!(ended.stderr().contains(options[0]) && !folder.path("report").exists());
    }
}

#[test]
fn no_records_show_nothing() {
    let folder = Folder::new();
    let ended = diff(&folder, &[], &[], &["--max-rate", "1"]);
    assert_eq!(
        (ended.code(), &folder.json("report/verdict.json")["outcome"]),
        (2, &json!("unproven"))
    );
}

/// The records in Parquet.
fn in_columns(folder: &Folder, name: &str, records: &[Value]) -> PathBuf {
    let lines = folder.write("lines.jsonl", records);
    let path = folder.path(name);
    let ended = sides::run(&["import", text(&lines), "--out", text(&path)], &[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr());
    path
}

/// A side that differs from `records` in all that one can: some answers, some of what is around
/// them, some ids.
fn faulty(number: usize) -> Value {
    let mut record = record(number);
    match number % 97 {
        3 => record["response"]["body"] = r#"{"label": "ham", "score": 0.97}"#.into(),
        4 => record["response"]["body"] = r#"{"score":9.7e-1,"label":"spam"}"#.into(),
        5 => record["response"]["status"] = 503.into(),
        6 => record["response"]["content_type"] = "text/plain".into(),
        7 => record["response"]["headers"] = json!({"x-model": "2"}),
        8 => record["latency_us"] = 9_000_000.into(),
        9 => (record["response"], record["error"]) = (Value::Null, json!("timed out")),
        10 => record["incomplete"] = true.into(),
        11 => record["later"] = json!([number]),
        12 => record["id"] = format!("other-{number}").into(),
        _ => {}
    }
    record
}

#[test]
fn a_side_in_columns_shows_what_it_shows_line_by_line() {
    let folder = Folder::new();
    // More rows than a batch of columns has, most of them in one order with the other side's.
    let old = records(0..4_500);
    let mut new: Vec<_> = (0..4_500).map(faulty).collect();
    new[4_000..4_200].reverse();
    let rules = folder.path("rules.toml");
    let asked = "[[rule]]\nfield = 'header.x-model'\n[[rule]]\nfield = 'latency'\nat_most = '5s'";
    std::fs::write(&rules, asked).unwrap();
    let lines = [folder.write("old.jsonl", &old), folder.write("new.jsonl", &new)];
    let columns =
        [in_columns(&folder, "old.parquet", &old), in_columns(&folder, "new.parquet", &new)];
    for (options, mismatches) in [(&[][..], 235), (&["--rules", text(&rules)], 329)] {
        let shown = |old: &Path, new: &Path| {
            let out = folder.path("report");
            let sides = ["diff", "--old", text(old), "--new", text(new), "--out", text(&out)];
            sides::run(&[&sides, options].concat(), &[]);
            let mut report = folder.json("report/report.json");
            report.as_object_mut().unwrap().remove("run");
            (folder.json("report/verdict.json"), report)
        };
        let of_lines = shown(&lines[0], &lines[1]);
        assert_eq!(of_lines.0["mismatches"], mismatches);
        assert_eq!(shown(&columns[0], &columns[1]), of_lines);
        assert_eq!(shown(&columns[0], &lines[1]), of_lines);
    }
}

#[test]
fn what_sets_the_differing_records_apart_is_in_the_report() {
    let folder = Folder::new();
    let new = |number: usize| {
        with_body(
            number,
            if number % 3 == 1 { r#"{"label": "ham", "score": 0.97}"# } else { ANSWER },
        )
    };
    diff(&folder, &records(0..300), &(0..300).map(new).collect::<Vec<_>>(), &[]);
    let report = folder.json("report/report.json");
    let clusters = report["clusters"].as_array().unwrap();
    assert_eq!(clusters.len(), 2);
    for cluster in clusters {
        let feature = &cluster["features"][0];
        assert_eq!(feature, &json!({"name": "client toybox", "inside": 1.0, "outside": 0.0}));
    }
}

#[test]
fn what_neither_side_has_answered_is_no_mismatch() {
    let folder = Folder::new();
    let mut unanswered = records(0..3);
    for record in &mut unanswered[1..] {
        (record["response"], record["error"]) = (Value::Null, json!("timed out"));
    }
    diff(&folder, &unanswered, &[record(0), record(1)], &[]);
    let verdict = folder.json("report/verdict.json");
    let counts = ["records", "distinct", "mismatches"].map(|name| verdict[name].as_u64().unwrap());
    assert_eq!(counts, [3, 1, 1], "the second is answered by one side alone");
    assert_eq!(verdict["clusters"][0]["kind"], "unanswered");
}
