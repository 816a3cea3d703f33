//! What every in-process runtime gives: a model that turns a document into scores.

use std::ops::Range;

use crate::Error;
use crate::document::Document;
use crate::lexicon::Lexicon;
use crate::onnx::Onnx;
use crate::package::{Package, Runtime};
use crate::weka::FilteredClassifier;

/// A loaded model that runs inside this process.
pub trait Model: Send + Sync {
    /// The labels, in the order of the scores.
    fn labels(&self) -> &[String];

    /// Scores one document, or says why it can't.
    ///
    /// # Errors
    /// A sentence about what went wrong inside the model.
    fn score(&self, document: &Document) -> Result<Finding, String>;

    /// Scores several at once; a runtime that is quicker so says it in [`Model::max_batch`].
    fn score_all(&self, documents: &[&Document]) -> Vec<Result<Finding, String>> {
        documents.iter().map(|document| self.score(document)).collect()
    }

    /// How many documents are worth scoring at once.
    fn max_batch(&self) -> usize {
        1
    }

    /// Whether a short document takes so little time that a connection's own task may score it.
    fn is_quick(&self) -> bool {
        true
    }
}

/// What a model found in one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// A score for each label.
    pub scores: Vec<f64>,
    /// The bytes of the text that led to them, where the model knows.
    pub spans: Vec<Range<usize>>,
}

impl Finding {
    /// A finding of scores alone.
    pub(crate) fn of_scores(scores: Vec<(String, f64)>) -> Self {
        Self { scores: scores.into_iter().map(|(_, score)| score).collect(), spans: Vec::new() }
    }
}

/// Loads a package's artifact with the in-process runtime that it names.
///
/// # Errors
/// When the artifact can't be read, or can't be scored rightly.
pub fn load(package: &Package) -> Result<Box<dyn Model>, Error> {
    let reads_numbers = !package.manifest.input.numbers.is_empty();
    let model: Box<dyn Model> = match package.manifest.runtime {
        Runtime::Weka | Runtime::Lexicon if reads_numbers => {
            return Err(package.fault("model.toml: this runtime reads texts, no `input.numbers`"));
        }
        Runtime::Weka => Box::new(FilteredClassifier::load(&package.artifact())?),
        Runtime::Lexicon => Box::new(Lexicon::load(&package.artifact())?),
        Runtime::Onnx => Box::new(Onnx::load(package)?),
        Runtime::Worker => return Err(package.fault("a worker runs in processes of its own")),
    };
    match &package.manifest.labels {
        Some(labels) if labels != model.labels() => Err(package.fault(format!(
            "model.toml: `labels` are {labels:?}, but the artifact's own are {:?}",
            model.labels()
        ))),
        _ => Ok(model),
    }
}
