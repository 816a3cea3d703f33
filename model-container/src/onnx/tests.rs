//! ONNX models against the answers of Python's onnxruntime, and against packages that don't fit.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Onnx, two_of};
use crate::document::{Document, Field};
use crate::model::Model;
use crate::package::{Input, Package};

const FITTING: [&str; 7] =
    ["strings", "columns", "forest", "lightgbm", "xgboost", "one-column", "transformer"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

fn load(dir: &Path) -> Result<Onnx, String> {
    Package::open(dir).and_then(|package| Onnx::load(&package)).map_err(|error| error.to_string())
}

/// A package of the fixture `name` whose model.toml was changed.
fn changed(name: &str, change: impl Fn(&str) -> String) -> Result<Onnx, String> {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(name)).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    let manifest = fs::read_to_string(dir.path().join("model.toml")).unwrap();
    fs::write(dir.path().join("model.toml"), change(&manifest)).unwrap();
    load(dir.path())
}

/// Why a bare artifact, or one with a manifest that says `rest`, is refused.
fn refusal(artifact: &[u8], rest: Option<&str>) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model.onnx"), artifact).unwrap();
    if let Some(rest) = rest {
        let head = "name = 'x'\nruntime = 'onnx'\nartifact = 'model.onnx'";
        fs::write(dir.path().join("model.toml"), format!("{head}\n{rest}")).unwrap();
    }
    load(dir.path()).err().unwrap()
}

fn refused_fixture(name: &str) -> String {
    let artifact = fs::read(fixtures().join(format!("{name}.onnx"))).unwrap();
    refusal(&artifact, Some("labels = ['a', 'b']\ninput.numbers = ['w', 'x', 'y', 'z']"))
}

fn document(input: &Input, fields: &Map<String, Value>) -> Document {
    let field = |name| match fields.get(name) {
        Some(Value::String(text)) => Field::Text(text.into()),
        Some(value) => Field::Number(value.as_f64().unwrap()),
        None => Field::Absent,
    };
    Document::of_fields(input, &input.names().map(field).collect::<Vec<_>>()).unwrap()
}

/// The documents that Python was asked, each with its scores in the order of the labels.
fn asked(name: &str, model: &Onnx) -> Vec<(Document, Vec<f64>)> {
    let dir = fixtures().join(name);
    let input = Package::open(&dir).unwrap().manifest.input;
    let lines = fs::read_to_string(dir.join("expected.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let asked = lines.map(|line| {
        let scores = model.labels().iter().map(|label| line["scores"][label].as_f64().unwrap());
        (document(&input, line["input"].as_object().unwrap()), scores.collect())
    });
    asked.collect()
}

#[test]
fn every_score_has_the_bits_of_pythons_onnxruntime() {
    let mut answers = 0;
    for name in FITTING {
        let model = load(&fixtures().join(name)).unwrap();
        for (document, expected) in asked(name, &model) {
            let scores = model.score(&document).unwrap().scores;
            assert_eq!(scores, expected, "{name}: {document:?}");
            answers += scores.len();
        }
    }
    assert!(answers > 400, "only {answers} scores were compared");
}

#[test]
fn documents_scored_together_get_the_labels_that_they_get_alone() {
    for name in FITTING {
        let model = changed(name, |toml| match toml.split_once("[onnx]") {
            Some((before, rest)) => format!("{before}[onnx]\nmax_batch = 4{rest}"),
            None => format!("{toml}\n[onnx]\nmax_batch = 4"),
        });
        let model = model.unwrap();
        assert_eq!(model.max_batch(), 4);
        let asked = asked(name, &model);
        let documents: Vec<_> = asked.iter().map(|(document, _)| document).collect();
        for (finding, (_, expected)) in model.score_all(&documents).into_iter().zip(&asked) {
            for (score, expected) in finding.unwrap().scores.iter().zip(expected) {
                assert!((score - expected).abs() < 1e-5, "{name}: {score}, alone {expected}");
            }
        }
    }
}

#[test]
fn more_threads_than_sessions_can_score() {
    let model = changed("strings", |toml| format!("{toml}\n[onnx]\nsessions = 2")).unwrap();
    let asked = asked("strings", &model);
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for (document, expected) in &asked {
                    assert_eq!(&model.score(document).unwrap().scores, expected);
                }
            });
        }
    });
}

#[test]
fn a_bare_artifact_that_names_its_labels_is_a_package() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixtures().join("strings/model.onnx"), dir.path().join("reviews.onnx")).unwrap();
    let model = load(dir.path()).unwrap();
    assert_eq!(model.labels(), ["complaint", "praise", "question"]);
    let document = Document::of_text(&Input::default(), "terrible, it broke").unwrap();
    assert_eq!(model.score(&document).unwrap().scores.len(), 3);
}

#[test]
fn labels_that_are_whole_numbers_need_no_names() {
    let unnamed = |toml: &str| toml.replace("labels = ['bulk', 'advert', 'fraud']\n", "");
    assert_eq!(changed("forest", unnamed).unwrap().labels(), ["0", "1", "2"]);
}

#[test]
fn a_transformers_logits_become_probabilities_unless_the_package_says_otherwise() {
    let model = changed("transformer", |toml| toml.replace("activation = 'none'\n", "")).unwrap();
    for (document, logits) in asked("transformer", &model) {
        let spam = 1.0 / (1.0 + (logits[0] - logits[1]).exp());
        let scores = model.score(&document).unwrap().scores;
        assert!((scores[1] - spam).abs() < 1e-15, "{scores:?}, not {spam}");
    }
}

#[test]
fn one_column_for_two_labels_must_be_a_probability() {
    assert_eq!(two_of(0.25).unwrap(), [0.75, 0.25]);
    for logit in [6.0, -0.5] {
        let error = two_of(logit).unwrap_err();
        assert!(error.contains("`activation` of [onnx]"), "{error}");
    }
}

#[test]
fn a_zero_character_in_a_text_is_scored() {
    let model = load(&fixtures().join("strings")).unwrap();
    let score = |text: &str| {
        let document = Document::of_text(&Input::default(), text).unwrap();
        model.score(&document).unwrap()
    };
    assert_eq!(score("great\0sound"), score("great sound"));
}

#[test]
fn an_absent_field_is_an_empty_text() {
    let model = load(&fixtures().join("columns")).unwrap();
    let input = Package::open(&fixtures().join("columns")).unwrap().manifest.input;
    let scores = |fields: &str| {
        let fields: Value = serde_json::from_str(fields).unwrap();
        model.score(&document(&input, fields.as_object().unwrap())).unwrap().scores
    };
    let absent = scores(r#"{"title": "Broken", "rating": 1}"#);
    assert_eq!(absent, scores(r#"{"title": "Broken", "text": "", "rating": 1}"#));
}

#[test]
fn damaged_and_incomplete_artifacts_are_refused() {
    let whole = fs::read(fixtures().join("strings/model.onnx")).unwrap();
    for end in (0..whole.len()).step_by(97) {
        let error = refusal(&whole[..end], None);
        assert!(error.starts_with("artifact `"), "{error}");
    }
    let error = refusal(b"<html>404 Not Found</html>", None);
    assert!(error.contains("no ONNX model, or a damaged or incomplete one"), "{error}");
}

#[test]
fn what_can_not_be_computed_here_is_refused_by_name() {
    let reasons = [
        ("refused-operator", "acme:Sentiment(-1) is not a registered function/op"),
        ("refused-opset", "Opset 99 is under development"),
        ("refused-external", "External data path does not exist"),
        ("refused-image", "its input `pixels` is Tensor<i64>(1, 3, 8, 8), which is not"),
        ("refused-locale", "the locale `xx_YY.UTF-8`, which this machine lacks: generate it"),
    ];
    for (name, reason) in reasons {
        let error = refused_fixture(name);
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn inputs_that_no_field_fills_and_fields_that_fill_no_input_are_refused_by_name() {
    let refused = |name: &str, from: &str, to: &str| {
        changed(name, |toml| toml.replace(from, to)).err().unwrap()
    };
    let error = refused("columns", "'title', ", "");
    assert!(error.contains("its input `title` is Tensor<String>(dyn, 1); no field"), "{error}");
    let error = refused("columns", "'title', ", "'title', 'body', ");
    assert!(error.contains("no input of it takes the field `body`"), "{error}");
    let error = refused("forest", ", 'links'", "");
    assert!(error.contains("`features` is Tensor<f32>(dyn, 4), which is not [documents, 3]"));
    let error = refused("strings", "'text']", "'text']\nnumbers = ['rating']");
    assert!(error.contains("no input of it takes the field `rating`"), "{error}");
    let error = refused("transformer", "[onnx]", "input.numbers = ['rating']\n[onnx]");
    assert!(error.contains("it reads tokens, not the number `rating`"), "{error}");
}

#[test]
fn labels_that_do_not_match_the_outputs_are_refused() {
    let refused = |name: &str, from: &str, to: &str| {
        changed(name, |toml| toml.replace(from, to)).err().unwrap()
    };
    let error = refused("columns", "'complaint', ", "");
    assert!(error.contains("but the output has 3 columns"), "{error}");
    let error = refused("columns", "labels = ['complaint', 'praise', 'question']", "");
    assert!(error.contains("list the `labels` in model.toml"), "{error}");
    let error = refused("transformer", "[onnx]", "[onnx]\noutput = 'scores'");
    assert!(error.contains("it has no output `scores`"), "{error}");
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    let error = changed("transformer", |toml| toml.replace("max_tokens = 64", "max_tokens = 65"));
    let error = error.err().unwrap();
    assert!(error.contains("it can't compute a text of 65 tokens"), "{error}");
    let error = changed("transformer", |toml| format!("{toml}tokenizer = 'other.json'"));
    assert!(error.err().unwrap().contains("needs a tokenizer's file `other.json`"));
    let error = changed("transformer", |toml| format!("{toml}tokenizer = 'model.toml'"));
    assert!(error.err().unwrap().contains("model.toml`: "));
    let error = changed("strings", |toml| format!("{toml}\n[onnx]\ntokenizer = 'model.toml'"));
    assert!(error.err().unwrap().contains("it has no input `input_ids`"));
}

#[test]
fn a_tokenizer_with_more_ids_than_the_model_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["model.onnx", "model.toml"] {
        fs::copy(fixtures().join("transformer").join(file), dir.path().join(file)).unwrap();
    }
    let tokenizer = fs::read_to_string(fixtures().join("transformer/tokenizer.json")).unwrap();
    let larger = tokenizer.replacen("\"[PAD]\":0,", "\"[PAD]\":0,\"unheardof\":5000,", 1);
    assert_ne!(larger, tokenizer);
    fs::write(dir.path().join("tokenizer.json"), larger).unwrap();
    let error = load(dir.path()).err().unwrap();
    assert!(error.contains("it can't compute its tokenizer's highest id, 5000"), "{error}");
}
