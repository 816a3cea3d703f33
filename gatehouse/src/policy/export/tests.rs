//! What is written, what is left alone, and what is refused.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::stub::{Stub, folder, in_force, put};
use super::*;

fn documents() -> Value {
    json!({"models/spam": {"cost": 0.1, "endpoint": {"http": "http://x"}},
        "scopes/platform": {"rules": {"no": {"review_at": null}}},
        "scopes/client/a/site/en-GB": {}})
}

/// Exports into a folder, with or without --force and --prune.
async fn export_to(folder: &TempDir, force: bool, prune: bool) -> Result<(), String> {
    let stub = Stub::answering(vec![in_force(&documents())]);
    let arguments = Arguments { place: stub.place(folder), force, prune };
    match export(arguments).await {
        Ok(found) => {
            assert_eq!(found, Finding::Fine);
            Ok(())
        }
        Err(Fault::Given(message)) => Err(message),
        Err(fault) => panic!("{fault:?}"),
    }
}

fn text(folder: &TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

#[tokio::test]
async fn options_become_files_that_mean_the_same() {
    let folder = tempfile::tempdir().unwrap();
    export_to(&folder, false, false).await.unwrap();
    let platform = text(&folder, "scopes/platform.yaml");
    assert_eq!(platform, "rules:\n  \"no\":\n    review_at: null\n");
    assert_eq!(text(&folder, "scopes/client/a/site/en-GB.yaml"), "{}\n");
    let read = Folder::read(folder.path()).unwrap().documents().unwrap();
    assert_eq!(
        json!(
            read.iter()
                .map(|(s, d)| (s.to_string(), d))
                .collect::<std::collections::BTreeMap<_, _>>()
        ),
        documents()
    );
    let names = fs::read_dir(folder.path().join("scopes")).unwrap();
    assert_eq!(names.count(), 2, "nothing is left beside the files");
}

#[tokio::test]
async fn a_file_that_means_the_same_keeps_its_comments_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let commented = "# Agreed in spring.\nendpoint: {http: 'http://x'}\ncost: 0.10 # cents\n";
    put(&folder, "models/spam.yml", commented);
    export_to(&folder, false, false).await.unwrap();
    export_to(&folder, true, true).await.unwrap();
    assert_eq!(text(&folder, "models/spam.yml"), commented);
    assert!(!folder.path().join("models/spam.yaml").exists());
}

#[tokio::test]
async fn other_content_is_overwritten_only_by_force() {
    let files = [
        ("models/spam.json", "{\"cost\": 2}"),
        ("scopes/platform.yaml", "a: 1\na: 2\n"),
        ("README.md", "x"),
    ];
    let folder = folder(&files);
    let refused = export_to(&folder, false, false).await.unwrap_err();
    for name in ["models/spam.json", "scopes/platform.yaml", "README.md", "--force"] {
        assert!(refused.contains(name), "{refused}");
    }
    for (path, unchanged) in files {
        assert_eq!(text(&folder, path), unchanged);
    }
    assert!(!folder.path().join("scopes/client").exists(), "nothing was written");
    export_to(&folder, true, false).await.unwrap();
    assert!(text(&folder, "models/spam.json").starts_with("{\n  \"cost\": 0.1,\n"));
    assert!(text(&folder, "scopes/platform.yaml").starts_with("rules:\n"));
    assert_eq!(text(&folder, "README.md"), "x");
}

#[tokio::test]
async fn files_of_what_is_gone_are_removed_only_by_pruning() {
    let folder = folder(&[("models/old.yaml", "cost: 1"), ("tests/a.yaml", "[]")]);
    export_to(&folder, false, false).await.unwrap();
    assert_eq!(text(&folder, "models/old.yaml"), "cost: 1");
    export_to(&folder, false, true).await.unwrap();
    assert!(!folder.path().join("models/old.yaml").exists());
    assert_eq!(text(&folder, "tests/a.yaml"), "[]");
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_written_through_a_link_out_of_the_folder() {
    use std::os::unix::fs::symlink;
    let outside = folder(&[("spam.yaml", "cost: 9")]);
    let folder = folder(&[("scopes/platform.yaml", "{}")]);
    symlink(outside.path(), folder.path().join("models")).unwrap();
    let refused = export_to(&folder, true, true).await.unwrap_err();
    assert!(refused.contains("`models` is a link out of the folder"), "{refused}");
    assert_eq!(text(&outside, "spam.yaml"), "cost: 9");
    assert_eq!(text(&folder, "scopes/platform.yaml"), "{}");
}
