//! Every seed of the fuzz targets, taken through the same code without a fuzzer.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, panic};

use toml::Table;

#[path = "../../fuzz/src/lib.rs"]
pub mod fuzz;

/// Feeds a target at least so many files, all of `folder` (below the repository's root) whose
/// names end so.
fn feed(target: fn(&[u8]), folder: &str, ending: &str, at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(folder);
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let seeds: Vec<PathBuf> =
        files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert!(seeds.len() >= at_least, "only {} seeds were found", seeds.len());
    let panics = |seed: &&PathBuf| {
        let bytes = fs::read(seed).unwrap();
        panic::catch_unwind(|| target(&bytes)).is_err()
    };
    assert_eq!(seeds.iter().filter(panics).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}

#[test]
fn each_folder_of_seeds_is_of_a_target_that_the_manifest_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz");
    let manifest: Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    let targets = manifest["bin"].as_array().unwrap().iter();
    let named: BTreeSet<_> = targets
        .map(|target| {
            assert!(folder.join(target["path"].as_str().unwrap()).is_file(), "{target}");
            target["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let seeded = fs::read_dir(folder.join("corpus")).unwrap();
    let seeded = seeded.map(|folder| folder.unwrap().file_name().into_string().unwrap());
    assert_eq!(named, seeded.collect());
}

#[test]
fn no_model_file_makes_the_reader_panic() {
    feed(fuzz::weka_model, "fuzz/corpus/weka_model", "", 10);
    feed(fuzz::weka_model, "model-container/tests/weka", ".model", 25);
}

#[test]
fn no_lexicon_makes_the_reader_panic() {
    feed(fuzz::lexicon, "fuzz/corpus/lexicon", "", 10);
    feed(fuzz::lexicon, "examples/models/alcohol", "alcohol.toml", 1);
    feed(fuzz::lexicon, "examples/models/contact", "contact.toml", 1);
}

#[test]
fn no_manifest_makes_the_reader_panic() {
    feed(fuzz::package_manifest, "fuzz/corpus/package_manifest", "", 15);
    for model in ["alcohol", "contact", "hate", "offensive", "spam"] {
        feed(fuzz::package_manifest, &format!("examples/models/{model}"), "model.toml", 1);
    }
}

#[test]
fn no_request_makes_the_container_panic() {
    feed(fuzz::invocation, "fuzz/corpus/invocation", "", 20);
    feed(fuzz::v2_infer, "fuzz/corpus/v2_infer", "", 15);
}

#[test]
fn no_line_of_a_worker_makes_the_container_panic() {
    feed(fuzz::worker_answer, "fuzz/corpus/worker_answer", "", 15);
}
