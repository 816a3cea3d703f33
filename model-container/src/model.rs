//! What every runtime gives: a model that turns a text into scores.

use std::ops::Range;

use crate::Error;
use crate::lexicon::Lexicon;
use crate::package::{Package, Runtime};
use crate::weka::FilteredClassifier;

/// A loaded model.
pub trait Model: Send + Sync {
    /// The labels, in the order of the scores.
    fn labels(&self) -> &[String];

    /// Scores one text, or says why it can't.
    ///
    /// # Errors
    /// A sentence about what went wrong inside the model.
    fn score(&self, text: &str) -> Result<Finding, String>;
}

/// What a model found in one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// A score for each label.
    pub scores: Vec<f64>,
    /// The bytes of the text that led to them, where the model knows.
    pub spans: Vec<Range<usize>>,
}

/// Loads a package's artifact with the runtime that it names.
///
/// # Errors
/// When the artifact can't be read, or can't be scored rightly.
pub fn load(package: &Package) -> Result<Box<dyn Model>, Error> {
    let model: Box<dyn Model> = match package.manifest.runtime {
        Runtime::Weka => Box::new(FilteredClassifier::load(&package.artifact())?),
        Runtime::Lexicon => Box::new(Lexicon::load(&package.artifact())?),
    };
    match &package.manifest.labels {
        Some(labels) if labels != model.labels() => Err(package.fault(format!(
            "model.toml: `labels` are {labels:?}, but the artifact's own are {:?}",
            model.labels()
        ))),
        _ => Ok(model),
    }
}
