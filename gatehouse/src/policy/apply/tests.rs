//! What is sent where something differs, and where somebody came between.

use serde_json::json;

use super::super::stub::{Stub, folder, in_force};
use super::*;

const PLATFORM: (&str, &str) = ("scopes/platform.yaml", "locked: [spam]\n");

fn taken(version: u64, dry_run: bool) -> (u16, Value) {
    let change = json!({"subject": "scopes/platform", "before": {}, "after": {"locked": ["spam"]},
        "fields": [{"path": "locked", "after": ["spam"]}]});
    (if dry_run { 200 } else { 201 }, json!({"version": version, "changes": [change]}))
}

fn diff_arguments(stub: &Stub, folder: &tempfile::TempDir, prune: bool) -> DiffArguments {
    DiffArguments { place: stub.place(folder), prune }
}

fn arguments(stub: &Stub, folder: &tempfile::TempDir, reason: Option<&str>) -> Arguments {
    let diff = diff_arguments(stub, folder, false);
    Arguments { diff, reason: reason.map(str::to_owned), dry_run: false }
}

#[tokio::test]
async fn what_differs_becomes_one_version_on_the_one_compared_with() {
    let folder = folder(&[PLATFORM, ("models/spam.yaml", "cost: 0.50\n")]);
    let documents = json!({"models/spam": {"cost": 0.5}, "scopes/platform": {}, "models/old": {}});
    let stub = Stub::answering(vec![in_force(&documents), taken(7, true), taken(8, false)]);
    let applied = apply(arguments(&stub, &folder, Some("löck it"))).await.unwrap();
    assert_eq!(applied, Finding::Fine);
    let asked = stub.asked();
    let sent = json!({"scopes/platform": {"locked": ["spam"]}});
    assert_eq!(asked[1].body, json!({"documents": sent, "dry_run": true}));
    assert_eq!(asked[2].body, json!({"documents": sent, "dry_run": false}));
    for asked in &asked[1..] {
        assert!(asked.head.starts_with("post /v1/policy/versions "), "{}", asked.head);
        assert!(asked.head.contains("if-match: \"7\"\r\n"), "{}", asked.head);
    }
    assert!(asked[2].head.contains("gatehouse-reason: löck it\r\n"), "{}", asked[2].head);
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_differs() {
    let folder = folder(&[PLATFORM]);
    let same = || in_force(&json!({"scopes/platform": {"locked": ["spam"]}, "models/a": {}}));
    let stub = Stub::answering(vec![same(), same()]);
    let found = diff(diff_arguments(&stub, &folder, false)).await.unwrap();
    assert_eq!(found, Finding::Fine);
    // Without a reason, too.
    assert_eq!(apply(arguments(&stub, &folder, None)).await.unwrap(), Finding::Fine);
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn a_change_needs_a_reason_and_a_dry_run_none() {
    let folder = folder(&[PLATFORM]);
    let rehearsal = || [in_force(&json!({})), taken(7, true)];
    let stub = Stub::answering([rehearsal(), rehearsal()].concat());
    match apply(arguments(&stub, &folder, None)).await {
        Err(Fault::Given(message)) => assert!(message.contains("--reason"), "{message}"),
        other => panic!("{other:?}"),
    }
    let dry = Arguments { dry_run: true, ..arguments(&stub, &folder, Some("why")) };
    assert_eq!(apply(dry).await.unwrap(), Finding::Different);
    assert!(stub.asked().iter().all(|asked| asked.body["dry_run"] != false));
    assert!(reason("two\nlines").is_err() && reason(" ").is_err());
    assert!(reason(&"x".repeat(1001)).is_err() && reason(&"x".repeat(1000)).is_ok());
}

#[tokio::test]
async fn what_somebody_changed_meanwhile_is_not_overwritten() {
    let folder = folder(&[PLATFORM]);
    let overtaken = (412, json!({"detail": "stale"}));
    let stub = Stub::answering(vec![in_force(&json!({})), taken(7, true), overtaken]);
    match apply(arguments(&stub, &folder, Some("why"))).await {
        Err(Fault::Failed(message)) => {
            assert!(message.contains("somebody else changed the options"), "{message}");
            assert!(message.contains("version 7") && message.contains("again"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn options_that_change_while_they_are_compared_are_compared_again() {
    let folder = folder(&[PLATFORM]);
    let overtaken = || [in_force(&json!({})), (412, json!({"detail": "stale"}))];
    let stub = Stub::answering([overtaken(), [in_force(&json!({})), taken(7, true)]].concat());
    let found = diff(diff_arguments(&stub, &folder, false)).await.unwrap();
    assert_eq!(found, Finding::Different);
    let stub = Stub::answering([overtaken(), overtaken(), overtaken()].concat());
    let found = diff(diff_arguments(&stub, &folder, false)).await;
    assert!(matches!(found, Err(Fault::Failed(_))), "{found:?}");
}

#[tokio::test]
async fn pruning_deletes_what_the_folder_lacks_and_never_everything() {
    let folder = folder(&[PLATFORM]);
    let documents =
        || in_force(&json!({"models/old": {}, "scopes/platform": {"locked": ["spam"]}}));
    let stub = Stub::answering(vec![documents(), taken(7, true)]);
    diff(diff_arguments(&stub, &folder, true)).await.unwrap();
    assert_eq!(stub.asked()[1].body["documents"], json!({"models/old": null}));
    let empty = tempfile::tempdir().unwrap();
    match diff(diff_arguments(&stub, &empty, true)).await {
        Err(Fault::Given(message)) => {
            assert!(message.contains("no file below models/"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}
