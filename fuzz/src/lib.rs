//! What each fuzz target does with its bytes: the reading, and what must hold whatever they are.
//!
//! `model-container/tests/seeds.rs` takes every seed through the same functions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use model_container::document::Document;
use model_container::invocation::{self, Answer, Terms};
use model_container::lexicon::Lexicon;
use model_container::model::Model;
use model_container::package::Manifest;
use model_container::weka::FilteredClassifier;
use model_container::{Limits, Package, Scorer, v2, worker};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Bytes as a `.model` file; what loads is asked to score a text with the words it knows.
///
/// # Panics
/// When a model gives other than one score a label.
pub fn weka_model(bytes: &[u8]) {
    let Ok(model) = FilteredClassifier::parse(bytes) else { return };
    for text in ["", "a lovely free prize, terrible", &String::from_utf8_lossy(bytes)] {
        if let Ok(finding) = model.score(&document(text)) {
            assert_eq!(finding.scores.len(), model.labels().len());
        }
    }
}

/// Bytes as a lexicon; what compiles is asked to score the lexicon itself, where each term stands.
///
/// # Panics
/// When a score is no probability, or evidence is not a place in the text.
pub fn lexicon(bytes: &[u8]) {
    let Ok(toml) = std::str::from_utf8(bytes) else { return };
    let Ok(lexicon) = Lexicon::parse(toml) else { return };
    for text in ["", "a pint of root beer, 5% vol, +44 20 7946 0958", toml] {
        let Ok(finding) = lexicon.score(&document(text)) else { continue };
        assert!(finding.scores.iter().all(|score| (0.0..=1.0).contains(score)));
        assert!(finding.spans.iter().all(|span| text.get(span.clone()).is_some()));
        assert!(!finding.spans.is_empty() || finding.scores == [0.0, 1.0]);
    }
}

/// Bytes as a `model.toml` beside artifacts of the examples' names.
///
/// # Panics
/// When a manifest is accepted that has no input, or an artifact outside of its package.
pub fn package_manifest(bytes: &[u8]) {
    let Ok(toml) = std::str::from_utf8(bytes) else { return };
    let names = ["spam.model", "offensive.model", "alcohol.toml", "contact.toml", "hate.onnx"];
    let files = names.map(PathBuf::from);
    let Ok(manifest) = Manifest::parse(Path::new("package"), toml, &files) else { return };
    assert!(!manifest.name.is_empty() && manifest.input.names().count() > 0);
    assert!(!manifest.command.is_empty() || files.contains(&manifest.artifact));
}

/// Bytes as a request: a line with its content type, one with what it accepts, and the body.
///
/// # Panics
/// When an answer is not of its content type, or a lexicon is said to have failed.
pub fn invocation(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut header = || parts.next().and_then(|line| std::str::from_utf8(line).ok());
    let terms = Terms { content_type: header(), accept: header() };
    let body = parts.next().unwrap_or_default().to_vec().into();
    let (runtime, scorer) = &*SERVER;
    match runtime.block_on(invocation::answer(scorer, terms, &body, scorer.deadline())) {
        Ok(answer) => check(&answer),
        Err(problem) => assert!(problem.status().is_client_error(), "{}", problem.detail()),
    }
}

/// Bytes as a request of the Open Inference Protocol, whose JSON ends before the first zero byte.
///
/// # Panics
/// When an answer is not JSON with as many bytes behind it as it says, or a lexicon is said to
/// have failed.
pub fn v2_infer(bytes: &[u8]) {
    let json_bytes = bytes.iter().position(|byte| *byte == 0);
    let (json, binary) = bytes.split_at(json_bytes.unwrap_or(bytes.len()));
    let body = [json, binary.get(1..).unwrap_or_default()].concat();
    let (runtime, scorer) = &*SERVER;
    let answer = match runtime.block_on(v2::infer(scorer, &body, json_bytes, scorer.deadline())) {
        Ok(answer) => answer,
        Err(problem) => {
            assert!(problem.status().is_client_error(), "{}", problem.detail());
            return;
        }
    };
    let (json, binary) = answer.body.split_at(answer.json_bytes.unwrap_or(answer.body.len()));
    let json: Value = serde_json::from_slice(json).expect("an answer is JSON");
    let outputs = json["outputs"].as_array().expect("an answer has outputs");
    let sizes = outputs.iter().filter_map(|it| it["parameters"]["binary_data_size"].as_u64());
    assert_eq!(sizes.sum::<u64>(), binary.len() as u64, "{json}");
}

/// Bytes as a line that a worker printed.
///
/// # Panics
/// When a score is taken for one that is no number.
pub fn worker_answer(bytes: &[u8]) {
    if let Ok(scores) = worker::scores(bytes) {
        assert!(scores.iter().all(|(_, score)| score.is_finite()));
    }
}

/// A lexicon, and what it needs to answer.
static SERVER: LazyLock<(Runtime, Scorer)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let scorer = runtime.block_on(scorer());
    (runtime, scorer)
});

async fn scorer() -> Scorer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models/alcohol");
    let package = Package::open(&folder).expect("the example is a package");
    let scorer = Scorer::load(package, &Limits::default(), &Arc::default()).await;
    scorer.expect("the example loads")
}

fn check(answer: &Answer) {
    let text = std::str::from_utf8(&answer.body).expect("an answer is UTF-8");
    if answer.content_type == "text/csv" {
        assert!(text.is_empty() || text.ends_with('\n'));
        return;
    }
    let values = serde_json::Deserializer::from_str(text).into_iter();
    let values: Vec<Value> = values.map(|value| value.expect("an answer is JSON")).collect();
    let is_lines = answer.content_type != "application/json";
    assert_eq!(values.len(), if is_lines { text.lines().count() } else { 1 });
    for value in values {
        let predictions = value.get("predictions").and_then(Value::as_array);
        for one in predictions.map_or(&[value.clone()][..], Vec::as_slice) {
            assert!(one["score"].is_f64() || one["error"].is_object(), "{one}");
        }
    }
}

fn document(text: &str) -> Document {
    Document { text: text.to_owned(), ..Document::default() }
}
