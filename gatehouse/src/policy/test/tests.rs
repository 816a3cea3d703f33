//! What is sent to be judged, and what is reported.

use serde_json::json;

use super::super::stub::{Stub, folder, in_force};
use super::*;

const PLATFORM: (&str, &str) = ("scopes/platform.yaml", "locked: [spam]\n");
const TESTS: &str = "\
- {name: an <ad>, client: a, content: {text: win}, verdict: reject, rules: [spam]}
- {name: a letter, client: a, content: {text: hello}, verdict: approve}
- {name: a slow one, client: a, content: {text: slow}, verdict: approve}
";

fn verdict(decision: &str, degraded: bool) -> Value {
    let after = json!({"decision": decision, "reasons": [], "calls": [], "degraded": degraded});
    json!({"before": null, "after": after})
}

fn judged(version: u64, verdicts: &[Value]) -> (u16, Value) {
    (200, json!({"policy_version": version, "contents": verdicts}))
}

async fn run(stub: &Stub, folder: &tempfile::TempDir) -> Result<Finding, Fault> {
    let junit = Some(folder.path().join(".junit.xml"));
    test(Arguments { place: stub.place(folder), prune: false, junit }).await
}

#[tokio::test]
async fn contents_are_judged_with_the_options_of_the_folder() {
    let folder = folder(&[PLATFORM, ("tests/a.yaml", TESTS)]);
    let verdicts = [verdict("review", false), verdict("approve", false), verdict("approve", true)];
    let stub = Stub::answering(vec![in_force(&json!({"models/a": {}})), judged(7, &verdicts)]);
    assert_eq!(run(&stub, &folder).await.unwrap(), Finding::Different);
    let asked = &stub.asked()[1];
    assert!(asked.head.starts_with("post /v1/policy/what-if "), "{}", asked.head);
    assert_eq!(asked.body["documents"], json!({"scopes/platform": {"locked": ["spam"]}}));
    assert_eq!(asked.body["contents"][0]["fields"], json!({"text": "win"}));
    let xml = std::fs::read_to_string(folder.path().join(".junit.xml")).unwrap();
    let cases = [
        "an &lt;ad&gt;\"><failure message=\"expected reject (spam), got review\"></failure>\
         </testcase",
        "a letter\"/",
        "a slow one\"><error message=\"degraded\"/></testcase",
    ]
    .map(|case| format!("    <testcase classname=\"tests/a.yaml\" name=\"{case}>\n"));
    let totals = "tests=\"3\" failures=\"1\" errors=\"1\"";
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n  \
         <testsuite name=\"tests/a.yaml\" {totals}>\n{}  </testsuite>\n</testsuites>\n",
        cases.concat()
    );
    assert_eq!(xml, expected);
}

#[tokio::test]
async fn a_verdict_without_its_models_is_no_wrong_verdict() {
    let folder = folder(&[PLATFORM, ("tests/a.yaml", TESTS)]);
    let with = |first: Value| {
        let verdicts = [first, verdict("approve", false), verdict("approve", true)];
        Stub::answering(vec![in_force(&json!({})), judged(7, &verdicts)])
    };
    let mut right = verdict("reject", false);
    right["after"]["reasons"] = json!([{"rule": "spam"}]);
    assert_eq!(run(&with(right), &folder).await.unwrap(), Finding::Unproven);
}

#[tokio::test]
async fn many_contents_are_sent_in_batches_on_one_version() {
    let many: String = (0..120)
        .map(|n| format!("- {{name: n{n}, client: a, content: {{text: b}}, verdict: approve}}\n"))
        .collect();
    let folder = folder(&[PLATFORM, ("tests/a.yaml", &many)]);
    let batches = |last| {
        let batch = |version, count| judged(version, &vec![verdict("approve", false); count]);
        Stub::answering(vec![in_force(&json!({})), batch(7, 50), batch(7, 50), batch(last, 20)])
    };
    let stub = batches(7);
    assert_eq!(run(&stub, &folder).await.unwrap(), Finding::Fine);
    assert_eq!(stub.asked().len(), 4);
    let changed = run(&batches(8), &folder).await;
    assert!(matches!(changed, Err(Fault::Failed(_))), "{changed:?}");
}

#[tokio::test]
async fn a_folder_without_tests_does_not_pass() {
    for files in [&[PLATFORM][..], &[PLATFORM, ("tests/a.yaml", "[]")]] {
        let folder = folder(files);
        let ended = run(&Stub::answering(Vec::new()), &folder).await;
        assert!(
            matches!(&ended, Err(Fault::Given(fault)) if fault.contains("no test")),
            "{ended:?}"
        );
    }
}

#[test]
fn failures_are_a_table_and_totals_follow() {
    let folder = folder(&[("tests/a.yaml", TESTS)]);
    let cases = cases(&Folder::read(folder.path()).unwrap()).unwrap();
    let answers = [verdict("review", false), verdict("approve", false), verdict("approve", true)];
    let judge = |(case, answer): (Case, &Value)| {
        let judgement = case.judge(answer).unwrap();
        (case, judgement)
    };
    let judged: Vec<Judged> = cases.into_iter().zip(&answers).map(judge).collect();
    let expected = "\
FILE          TEST        EXPECTED       ACTUAL      REASONS
tests/a.yaml  an <ad>     reject (spam)  review
tests/a.yaml  a slow one  approve        no verdict  degraded
3 tests: 1 as expected, 1 wrong, 1 without a verdict";
    assert_eq!(report(&judged), expected);
}
