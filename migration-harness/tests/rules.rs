//! Rules files, read by the built binary: what they permit, and what is wrong with them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests need the rest")]
mod run;
#[expect(dead_code, reason = "other tests need the rest")]
mod target;

use std::path::PathBuf;

use run::{ANSWER, LINES, Replay, record};
use serde_json::{Value, json};
use target::{Reply, Target};
use tempfile::TempDir;

/// The manual, whose examples are tried.
const MANUAL: &str = include_str!("../../docs/parity-rules.md");

/// Differences that never make a mismatch by themselves.
const TEXT_ONLY: [&str; 4] = ["number_format", "key_order", "whitespace", "escape"];

/// A file of rules.
struct Rules {
    _folder: TempDir,
    path: PathBuf,
}

impl Rules {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, text).unwrap();
        Self { _folder: folder, path }
    }

    fn replay(&self, replay: Replay, target: &Target) -> Replay {
        replay.with(&target.url(""), &["--rules", self.path.to_str().unwrap()])
    }
}

/// Answers every call with the body.
fn answering(body: &str) -> Target {
    let body: &'static str = body.to_owned().leak();
    Target::start(move |_| Reply::new(200, LINES, body))
}

/// What an example of the manual says of an answer: `[STATUS] [MEDIA TYPE] BODY`.
struct Written {
    status: u16,
    content_type: &'static str,
    body: &'static str,
}

impl Written {
    fn parse(text: &str) -> Self {
        let text: &'static str = text.replace("\\n", "\n").leak();
        let (status, text) = match text.split_once(' ') {
            Some((status, rest)) if status.parse::<u16>().is_ok() => {
                (status.parse().unwrap(), rest)
            }
            _ => (200, text),
        };
        match text.split_once(' ') {
            Some((media, body)) if media.contains('/') => {
                Self { status, content_type: media, body }
            }
            _ => Self { status, content_type: "application/json", body: text },
        }
    }

    fn record(&self) -> String {
        let mut call = record(0);
        call["response"] = json!({
            "status": self.status, "content_type": self.content_type,
            "body": self.body, "encoding": "utf8",
        });
        call["latency_us"] = json!(1);
        call.to_string()
    }

    fn target(self) -> Target {
        Target::start(move |_| Reply::new(self.status, self.content_type, self.body))
    }
}

/// The clusters of an example, as the manual words them.
fn shown(replay: &Replay) -> Vec<String> {
    let verdict = replay.verdict();
    let clusters = verdict["clusters"].as_array().unwrap().iter();
    let word = |cluster: &Value| {
        let [field, kind] = ["field", "kind"].map(|key| cluster[key].as_str().unwrap().to_owned());
        let is_tolerated = cluster["tolerated"].as_bool().unwrap();
        let is_shown = !is_tolerated || !TEXT_ONLY.contains(&kind.as_str());
        is_shown
            .then(|| format!("{} {field} {kind}", if is_tolerated { "permits" } else { "differs" }))
    };
    let mut shown: Vec<_> = clusters.filter_map(word).collect();
    shown.sort();
    shown
}

#[test]
fn every_example_of_the_manual_is_as_it_says() {
    let mut tried = 0;
    for part in MANUAL.split("```toml\n").skip(1) {
        let (rules, rest) = part.split_once("```").unwrap();
        let Some(example) = rest.trim_start().strip_prefix("```text\n") else { continue };
        let example = example.split("```").next().unwrap();
        let field = |name: &str| {
            let found = example.lines().filter_map(|line| line.strip_prefix(name));
            found.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        let [captured, target] = ["captured:", "target:"].map(|it| Written::parse(&field(it)[0]));
        let replay = Replay::of_text(&captured.record());
        let replay = Rules::new(rules).replay(replay, &target.target());
        assert!([1, 2].contains(&replay.code()), "{rules}\n{}", replay.stderr());
        let mut expected = field("shows:");
        expected.sort();
        assert_eq!(shown(&replay), expected, "{rules}{example}");
        tried += 1;
    }
    assert!(tried >= 18, "{tried} examples");
}

#[test]
fn the_manual_names_every_key() {
    let keys = [
        "name",
        "model",
        "client",
        "field",
        "kinds",
        "ignore",
        "ulp",
        "absolute",
        "relative",
        "decimals",
        "type",
        "nan",
        "unicode",
        "case",
        "whitespace",
        "null",
        "margin",
        "values",
        "order",
        "at_most",
        "ratio",
        "text",
        "old",
        "new",
        "header",
        "delimiter",
    ];
    for key in keys {
        assert!(MANUAL.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn tolerated_differences_are_no_mismatches_and_are_told() {
    let target = answering(
        "{\"label\": \"spam\", \"score\": 0.97, \"scores\": {\"ham\": 0.030000000000000002, \"spam\": 0.97}}\n",
    );
    let rules = Rules::new("[[rule]]\nname = \"exp\"\nfield = \"scores.*\"\nulp = 4\n");
    let replay = rules.replay(Replay::of(6), &target);
    let verdict = replay.verdict();
    assert_eq!((replay.code(), &verdict["mismatches"]), (2, &json!(0)), "{}", replay.stderr());
    assert_eq!(verdict["clusters"].as_array().unwrap().len(), 2);
    assert!(verdict["clusters"][0]["tolerated"].as_bool().unwrap());
    let elsewhere = Rules::new("[[rule]]\nmodel = \"off*\"\nfield = \"scores.*\"\nulp = 4\n");
    let replay = elsewhere.replay(Replay::of(6), &target);
    assert_eq!((replay.code(), &replay.verdict()["mismatches"]), (1, &json!(3)));
}

#[test]
fn all_faults_of_a_file_are_told_at_once_with_their_lines() {
    let rules = Rules::new(
        r#"[[rule]]
field = "scores.*"
ulps = 4
relative = -1.0
kinds = ["value", "strange"]

[[rule]]
field = "a..b"
ignore = true

[[rule]]
name = "both"
field = "model"
ignore = true
ulp = 4

[colour]
"#,
    );
    let replay = rules.replay(Replay::of(1), &answering(ANSWER));
    assert_eq!(replay.code(), 64);
    let told = replay.stderr();
    for (line, fault) in [
        (3, "unknown field `ulps`"),
        (4, "`relative` must be a number that is not below 0"),
        (5, "unknown variant `strange`"),
        (8, "`a..b` lacks a name"),
        (15, "`ignore` permits everything; `ulp` contradicts it"),
        (17, "unknown key `colour`"),
    ] {
        assert!(told.contains(&format!("\n  line {line}: {fault}")), "line {line}: {told}");
    }
    assert!(!replay.out().exists());
}

#[test]
fn what_contradicts_itself_or_says_nothing_is_refused() {
    for (rules, fault) in [
        ("[[rule]]\nfield = \"a\"\n", "line 1: `rule 1` says neither"),
        ("[[rule]]\nfield = \"a\"\nignore = false\n", "says neither"),
        ("[[rule]]\nulp = 4\n", "line 1: `rule 1` lacks `field`"),
        ("[[rule]]\nfield = \"a\"\nulp = -1\n", "line 3: invalid value: integer `-1`"),
        ("[[rule]]\nfield = \"a\"\nabsolute = nan\n", "line 3: `absolute` must be"),
        (
            "[[rule]]\nfield = \"a\"\norder = \"none\"\n",
            "line 3: `\"any\"` or `{ key = \"NAME\" }`",
        ),
        ("[[rule]]\nfield = \"a\"\nratio = 2.0\n", "line 3: `ratio` is about the field `latency`"),
        ("[[rule]]\nfield = \"latency\"\nulp = 2\n", "line 3: `ulp` says nothing here"),
        ("[[rule]]\nfield = \"latency\"\nat_most = \"soon\"\n", "line 3: `at_most` is no time"),
        ("[[rule]]\nfield = \"header\"\ncase = \"any\"\n", "line 2: which header?"),
        ("[[rule]]\nfield = \"a\"\nkinds = []\nulp = 1\n", "line 3: `kinds` is empty"),
        ("[[rule]]\nfield = \"a\"\nvalues = [[\"x\", \"x\"]]\n", "line 3: `values` pairs"),
        (
            "[[rule]]\nname = \"x\"\nfield = \"a\"\nulp = 1\n[[rule]]\nname = \"x\"\nfield = \"b\"\nulp = 1\n",
            "line 6: another rule",
        ),
        ("[[rename]]\nold = \"a\"\nnew = \"a\"\n", "line 2: `a` and `a` are the same field"),
        ("[[rename]]\nold = \"a.*\"\nnew = \"b\"\n", "only plain names"),
        ("[[rename]]\nold = \"a\"\n", "line 1: a rename needs both"),
        ("[csv]\ndelimiter = \";;\"\n", "line 2: `delimiter` must be one character"),
        ("[rule]\nfield = \"a\"\n", "line 1: tables with double brackets"),
        ("[[rule]\n", "line 1:"),
    ] {
        let replay = Rules::new(rules).replay(Replay::of(1), &answering(ANSWER));
        assert_eq!(replay.code(), 64, "{rules}");
        assert!(replay.stderr().contains(fault), "{rules}: {}", replay.stderr());
    }
}

#[test]
fn a_rule_about_nothing_that_was_there_is_an_error_with_what_is_near() {
    for (rules, fault) in [
        (
            "[[rule]]\nname = \"typo\"\nfield = \"scroes.ham\"\nulp = 4\n",
            "`typo`: no answer that it is about has the field `scroes.ham`; near to it: `scores.ham`",
        ),
        (
            "[[rule]]\nmodel = \"spma\"\nfield = \"label\"\nignore = true\n",
            "`rule 1`: no call is of the model and client that it names; models: `spam`, `offensive`",
        ),
        ("[[rule]]\nfield = \"header.x-version\"\n", "has the field `header.x-version`"),
        (
            "[[rename]]\nold = \"prob\"\nnew = \"p\"\n",
            "`rename`: no answer that it is about has the field `prob`",
        ),
    ] {
        let replay = Rules::new(rules).replay(Replay::of(4), &answering(ANSWER));
        assert_eq!(replay.code(), 64, "{rules}");
        assert!(replay.stderr().contains(fault), "{rules}: {}", replay.stderr());
        assert!(!replay.out().join("verdict.json").exists());
    }
}

#[test]
fn a_field_that_only_one_answer_held_is_enough() {
    let target = Target::start(|request| {
        let rare = "{\"label\": \"spam\", \"score\": 0.97, \"scores\": {\"ham\": 0.03, \"spam\": 0.97}, \"rare\": 1}\n";
        Reply::new(200, LINES, if request.body.contains("call 7\"") { rare } else { ANSWER })
    });
    let rules = Rules::new("[[rule]]\nfield = \"rare\"\nignore = true\n");
    let replay = rules.replay(Replay::of(12), &target);
    assert_eq!(replay.code(), 2, "{}", replay.stderr());
    assert_eq!(shown(&replay), ["permits rare extra"]);
}
