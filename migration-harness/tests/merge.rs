//! Shards replayed by the built binary and summed up by it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod sides;
#[expect(dead_code, reason = "other tests need more of it")]
mod target;

use std::path::PathBuf;

use serde_json::{Value, json};
use sides::{ANSWER, Ended, Folder, records, text};
use target::{Reply, Target};

const JSON: &str = "application/json";
const MANUAL: &str = include_str!("../../docs/parity-at-scale.md");

/// A target that answers some calls otherwise.
fn faulty() -> Target {
    Target::start(|request| {
        let differs = request.body.contains("7\"") || request.body.contains("call 12");
        let body = if differs { r#"{"label": "ham", "score": 0.97}"# } else { ANSWER };
        Reply::new(200, JSON, body)
    })
}

/// A replay of the records into a folder of its own.
fn replay(folder: &Folder, target: &Target, out: &str, more: &[&str]) -> Ended {
    replay_as(folder, target, (out, more), &[])
}

fn replay_as(
    folder: &Folder,
    target: &Target,
    (out, more): (&str, &[&str]),
    variables: &[(&str, &str)],
) -> Ended {
    let (records, out, url) = (folder.path("records.jsonl"), folder.path(out), target.url("/"));
    let mut arguments = vec!["replay", "--records", text(&records), "--target", &url];
    arguments.extend(["--out", text(&out)]);
    arguments.extend(more);
    sides::run(&arguments, variables)
}

fn merge(folder: &Folder, shards: &[&str], more: &[&str]) -> Ended {
    let paths: Vec<PathBuf> = shards.iter().map(|name| folder.path(name)).collect();
    let all = folder.path("all");
    let mut arguments = vec!["merge", "--out", text(&all)];
    arguments.extend(paths.iter().map(|path| text(path)));
    arguments.extend(more);
    sides::run(&arguments, &[])
}

/// Records, and the shards of a replay of them.
fn sharded(count: usize) -> (Folder, Target) {
    let (folder, target) = (Folder::new(), faulty());
    let mut records = records(0..200);
    records[5]["incomplete"] = true.into();
    folder.write("records.jsonl", &records);
    for index in 0..count {
        let part = format!("{index}/{count}");
        let ended = replay(&folder, &target, "{shard}", &["--shard", &part]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
    }
    (folder, target)
}

#[test]
fn shards_sum_up_to_what_one_run_shows() {
    let (folder, target) = sharded(3);
    assert_eq!(replay(&folder, &target, "whole", &[]).code(), 1);
    let ended = merge(&folder, &["2", "0", "1"], &[]);
    assert_eq!(ended.code(), 1, "{}", ended.stderr());
    let text = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    assert_eq!(text("all/verdict.json"), text("whole/verdict.json"));
    let differing = text("whole/mismatches.jsonl");
    assert_eq!(text("all/mismatches.jsonl"), differing);
    assert!(differing.starts_with("{\"sequence\":7,\"id\":\"id-7\"}\n"), "{differing}");
    let report = |name: &str| {
        let Value::Object(mut report) = folder.json(name) else { panic!("no object") };
        for cluster in report["clusters"].as_array_mut().unwrap() {
            // What the target took this time.
            cluster["example"]["reply"].as_object_mut().unwrap().remove("latency_us");
        }
        (report.remove("run"), report.remove("timing"), report)
    };
    let ((run, _, merged), (_, _, whole)) =
        (report("all/report.json"), report("whole/report.json"));
    assert_eq!(merged, whole);
    assert_eq!(merged["incomplete"], 1);
    assert_eq!(run.unwrap()["command"], "merge");
    assert!(ended.stdout().starts_with("broken: "), "{}", ended.stdout());
}

#[test]
fn a_shard_that_did_its_part_succeeds_unless_it_is_to_judge() {
    let (folder, target) = sharded(2);
    assert_eq!(folder.json("1/verdict.json")["outcome"], "broken");
    let options = ["--shard", "1/2", "--require", "whole"];
    assert_eq!(replay(&folder, &target, "judging", &options).code(), 1);
}

#[test]
fn the_environment_of_a_job_names_the_shard() {
    let (folder, target) = (Folder::new(), faulty());
    folder.write("records.jsonl", &records(0..10));
    for name in ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"] {
        let ended = replay_as(&folder, &target, ("part", &["--shards", "4"]), &[(name, "3")]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr());
        let shard = folder.json("part/shard.json");
        assert_eq!(shard["shard"], json!({"index": 3, "count": 4}));
        assert_eq!(folder.json("part/verdict.json")["records"], 2);
    }
    let ended = replay(&folder, &target, "none", &["--shards", "4"]);
    assert_eq!(ended.code(), 64);
    assert!(ended.stderr().contains("JOB_COMPLETION_INDEX") && !folder.path("none").exists());
}

#[test]
fn an_incomplete_set_is_refused_by_the_name_of_what_is_missing() {
    let (folder, _) = sharded(3);
    for (shards, reason) in [
        (&["0", "2"][..], "1 of 3 shards are missing: 1/3"),
        (&["0", "1", "1", "2"], "are both shard 1/3"),
        (&["0", "1", "2", "3"], "3` is no shard's folder"),
    ] {
        let ended = merge(&folder, shards, &[]);
        assert_eq!(ended.code(), 64, "{shards:?}");
        assert!(ended.stderr().contains(reason), "{}", ended.stderr());
        assert!(!folder.path("all").exists());
    }
}

#[test]
fn shards_of_another_run_are_refused_with_what_differs() {
    let (folder, target) = sharded(2);
    replay(&folder, &target, "of-four", &["--shard", "1/4"]);
    replay(&folder, &faulty(), "of-other-target", &["--shard", "1/2"]);
    folder.write("records.jsonl", &records(0..199));
    replay(&folder, &target, "of-fewer", &["--shard", "1/2"]);
    folder.write("records.jsonl", &records(1..201));
    replay(&folder, &target, "of-others", &["--shard", "1/2"]);
    for (other, reason) in [
        ("of-four", "of other numbers of shards than"),
        ("of-other-target", "of other targets than"),
        ("of-fewer", "of other records than"),
        ("of-others", "of other records than"),
    ] {
        let ended = merge(&folder, &["0", other], &[]);
        assert_eq!(ended.code(), 64, "{other}");
        assert!(
            ended.stderr().contains(reason) && ended.stderr().contains(other),
            "{}",
            ended.stderr()
        );
    }
}

#[test]
fn an_unfinished_or_damaged_shard_is_refused() {
    let (folder, target) = sharded(2);
    let fails = |reason: &str| {
        let ended = merge(&folder, &["0", "1"], &[]);
        assert!(ended.code() >= 64 && ended.stderr().contains(reason), "{}", ended.stderr());
        assert!(!folder.path("all/verdict.json").exists());
    };
    std::fs::remove_file(folder.path("1/tally.json")).unwrap();
    fails("1/tally.json");
    let records = folder.path("records.jsonl");
    let text = std::fs::read_to_string(&records).unwrap();
    std::fs::write(&records, text + "{\n").unwrap();
    assert_eq!(replay(&folder, &target, "1", &["--shard", "1/2"]).code(), 70);
    fails("shard 1/2 is not finished");
}

#[test]
fn a_report_never_replaces_a_shard() {
    let (folder, _) = sharded(1);
    let out = folder.path("0");
    let ended = sides::run(&["merge", text(&out), "--out", text(&out)], &[]);
    assert_eq!(ended.code(), 64, "{}", ended.stderr());
    assert!(folder.path("0/verdict.json").exists());
}

#[test]
fn limits_are_those_of_the_merge() {
    let (folder, _) = sharded(2);
    let ended = merge(&folder, &["0", "1"], &["--allow", "100", "--max-rate", "0.5"]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout());
}

#[test]
fn a_sequential_replay_ends_as_soon_as_it_knows() {
    let (folder, target) = (Folder::new(), Target::start(|_| Reply::new(200, JSON, ANSWER)));
    folder.write("records.jsonl", &records(0..2_000));
    let options = ["--sequential", "--max-rate", "0.05"];
    let ended = replay(&folder, &target, "soon", &options);
    assert_eq!(ended.code(), 0, "{}", ended.stdout());
    let records = folder.json("soon/verdict.json")["records"].as_u64().unwrap();
    assert!((60..400).contains(&records), "{records}");
}

/// The blocks of one language in the manual.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let blocks = MANUAL.split(begin.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Fails unless the command line is one that the program takes.
fn assert_is_taken(arguments: &[&str]) {
    assert_eq!(&arguments[..2], ["parity", "replay"]);
    let help = sides::run(&["replay", "--help"], &[]).stdout();
    for option in arguments.iter().filter(|argument| argument.starts_with("--")) {
        assert!(help.contains(*option), "{option}");
    }
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn the_manifest_for_kubernetes_is_an_indexed_job_that_takes_a_verdict_for_a_result() {
    let [yaml] = blocks("yaml")[..] else { panic!("one manifest") };
    let job: Value = serde_saphyr::from_str(yaml).unwrap();
    let spec = &job["spec"];
    assert_eq!((&job["kind"], &spec["completionMode"]), (&json!("Job"), &json!("Indexed")));
    let container = &spec["template"]["spec"]["containers"][0];
    let arguments = words(&container["args"]);
    assert_is_taken(&arguments);
    let shards = arguments.iter().position(|argument| *argument == "--shards").unwrap();
    assert_eq!(arguments[shards + 1], spec["completions"].to_string());
    let rule = &spec["podFailurePolicy"]["rules"][0];
    assert_eq!(
        (&rule["action"], &rule["onExitCodes"]["values"]),
        (&json!("FailIndex"), &json!([64]))
    );
    assert!(spec["backoffLimitPerIndex"].is_u64());
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
}

#[test]
fn the_definition_for_aws_batch_is_an_array_job_of_the_same_command() {
    let [definition, submission] = blocks("json")[..] else { panic!("a definition and a job") };
    let definition: Value = serde_json::from_str(definition).unwrap();
    let submission: Value = serde_json::from_str(submission).unwrap();
    let command = words(&definition["containerProperties"]["command"]);
    assert_is_taken(&command);
    let shards = command.iter().position(|argument| *argument == "--shards").unwrap();
    assert_eq!(command[shards + 1], submission["arrayProperties"]["size"].to_string());
    assert_eq!(definition["jobDefinitionName"], submission["jobDefinition"]);
}

#[test]
fn shards_of_other_noise_or_headers_are_not_summed_up() {
    let (folder, target) = sharded(2);
    let answers = folder.path("0/answers.jsonl");
    std::fs::copy(&answers, folder.path("noise.jsonl")).unwrap();
    let noise = folder.path("noise.jsonl");
    for (options, reason) in [
        (["--noise", text(&noise)], "is of other noise than"),
        (["--header", "x-a: 1"], "is of other request headers than"),
    ] {
        let all = [&["--shard", "1/2"][..], &options].concat();
        assert_eq!(replay(&folder, &target, "1", &all).code(), 0);
        let ended = merge(&folder, &["0", "1"], &[]);
        assert_eq!(ended.code(), 64, "{}", ended.stdout());
        assert!(ended.stderr().contains(reason), "{}", ended.stderr());
    }
}

#[test]
fn each_shard_may_have_noise_of_its_own() {
    let (folder, target) = sharded(2);
    let noise = folder.path("{shard}/answers.jsonl");
    for part in ["0/2", "1/2"] {
        let options = ["--shard", part, "--noise", text(&noise)];
        assert_eq!(replay(&folder, &target, "again-{shard}", &options).code(), 0);
    }
    let ended = merge(&folder, &["again-0", "again-1"], &["--max-rate", "0.1"]);
    assert_eq!(ended.code(), 0, "{} {}", ended.stdout(), ended.stderr());
    let ended = merge(&folder, &["again-0", "1"], &[]);
    assert!(ended.stderr().contains("is of other noise than"), "{}", ended.stderr());
}

#[test]
fn a_rule_about_nothing_in_any_shard_is_refused() {
    let (folder, target) = (Folder::new(), faulty());
    folder.write("records.jsonl", &records(0..200));
    let rules = folder.path("rules.toml");
    // All records of one model are in the first shard.
    for (rule, code) in [("field = \"labels\"", 64), ("field = \"label\"\nmodel = \"spam\"", 0)] {
        let rule = format!("[[rule]]\nname = \"flips\"\n{rule}\nignore = true\n");
        std::fs::write(&rules, rule).unwrap();
        for part in ["0/2", "1/2"] {
            let options = ["--shard", part, "--rules", text(&rules), "--fresh"];
            assert_eq!(replay(&folder, &target, "{shard}", &options).code(), 0);
        }
        let ended = merge(&folder, &["0", "1"], &["--allow", "200", "--max-rate", "1"]);
        assert_eq!(ended.code(), code, "{} {}", ended.stdout(), ended.stderr());
        assert_eq!(
            ended.stderr().contains("has the field `labels`; near to it: `label`"),
            code == 64
        );
    }
}

#[test]
fn a_shard_is_not_overwritten_whatever_its_path() {
    let (folder, _) = sharded(1);
    let (shard, out) = (folder.path("0"), folder.path("./x/../0"));
    std::fs::create_dir(folder.path("x")).unwrap();
    let ended = sides::run(&["merge", "--out", text(&out), text(&shard)], &[]);
    assert_eq!(ended.code(), 64);
    assert!(ended.stderr().contains("is a shard's own folder"), "{}", ended.stderr());
}

#[test]
fn very_many_missing_shards_are_counted() {
    let (folder, target) = (Folder::new(), faulty());
    folder.write("records.jsonl", &records(0..2));
    let options = ["--shard", "0/18446744073709551615"];
    assert_eq!(replay(&folder, &target, "0", &options).code(), 0);
    let ended = merge(&folder, &["0"], &[]);
    let reason = "18446744073709551614 of 18446744073709551615 shards are missing: 1/";
    assert!(ended.code() == 64 && ended.stderr().contains(reason), "{}", ended.stderr());
}
