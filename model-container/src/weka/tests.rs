//! The reader against answers of a real WEKA, and against damaged files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::FilteredClassifier;
use crate::document::Document;
use crate::model::Model;
use crate::package::Input;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/weka")
}

fn expected(name: &str) -> Option<Vec<Value>> {
    let lines = fs::read_to_string(fixtures().join(format!("{name}.expected.jsonl"))).ok()?;
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn models() -> Vec<String> {
    let names = fs::read_dir(fixtures()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".model").map(str::to_owned)).collect()
}

fn load(name: &str) -> Result<FilteredClassifier, String> {
    let path = fixtures().join(format!("{name}.model"));
    FilteredClassifier::load(&path).map_err(|error| error.to_string())
}

#[test]
fn every_score_has_the_bits_of_weka() {
    let mut answers = 0;
    for name in models() {
        let Some(expected) = expected(&name) else {
            continue;
        };
        let model = load(&name).unwrap();
        for line in expected {
            let scores = model.score(&document(line["text"].as_str().unwrap())).unwrap().scores;
            for (label, score) in model.labels().iter().zip(scores) {
                let bits = format!("{:016x}", score.to_bits());
                assert_eq!(line["bits"][label], bits, "{name}, {label}: {}", line["text"]);
                answers += 1;
            }
        }
    }
    assert!(answers > 1000, "only {answers} scores were compared");
}

#[test]
fn what_would_be_scored_wrongly_is_refused_by_name() {
    let refusals = [
        ("refused-stemmer", "weka.core.stemmers.LovinsStemmer"),
        ("refused-alphabetic", "weka.core.tokenizers.AlphabeticTokenizer"),
        ("refused-ngrams", "a regular expression"),
        ("refused-j48", "weka.classifiers.trees.J48"),
        ("refused-naive-bayes", "weka.classifiers.bayes.NaiveBayes`"),
        ("refused-multi-filter", "weka.filters.MultiFilter"),
        ("refused-hash-map", "java.lang.Double"),
        ("refused-priority-queue", "java.util.PriorityQueue"),
    ];
    for (name, class) in refusals {
        let error = load(name).err().unwrap();
        assert!(error.contains(class), "{name}: {error}");
    }
    assert_eq!(models().iter().filter(|name| expected(name).is_none()).count(), refusals.len());
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let bytes = fs::read(fixtures().join("few-words.model")).unwrap();
    let whole = bytes.len();
    let header = FilteredClassifier::parse(&bytes[..whole]).map(|_| ());
    assert_eq!(header, Ok(()));
    // The classifier comes first: a cut exactly between it and the header leaves a whole model.
    let readable = (0..whole).filter(|end| FilteredClassifier::parse(&bytes[..*end]).is_ok());
    assert!(readable.count() <= 1);
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = fs::read(fixtures().join("few-words.model")).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] = [0x00, 0x71, 0x73, 0x7F, 0x80, 0xFF][at % 6];
        if let Ok(model) = FilteredClassifier::parse(&damaged) {
            let _ = model.score(&document("a lovely free prize, terrible"));
        }
    }
}

fn document(text: &str) -> Document {
    Document::of_text(&Input::default(), text).unwrap()
}

#[test]
fn a_row_that_stands_for_two_classes_is_refused() {
    let bytes = fs::read(fixtures().join("few-words.model")).unwrap();
    let with_a_third_row = |handle: u32| {
        let table = bytes.windows(6).position(|at| at == b"\x72\x00\x03[[D").unwrap();
        // Behind the name stand the version, flags, fields and ends; each row begins like that.
        let count = table + 6 + 13;
        let length = u32::from_be_bytes(bytes[count + 10..count + 14].try_into().unwrap());
        let second_row = count + 14 + 8 * length as usize;
        let (head, tail) = (&bytes[..count], &bytes[second_row..]);
        let row = u32::to_be_bytes(0x7E_0000 + handle);
        [head, &[0, 0, 0, 3], &bytes[count + 4..second_row], &[0x71], &row, tail].concat()
    };
    // One of the handles is the first row's.
    let faults =
        (0..100).filter_map(|handle| FilteredClassifier::parse(&with_a_third_row(handle)).err());
    assert_eq!(faults.filter(|fault| fault.contains("one row for two classes")).count(), 1);
}
