//! ONNX models: text pipelines of scikit-learn, tree ensembles, transformers with a tokenizer.
//!
//! ONNX Runtime's library is loaded when the first such model is; [`Options`] is what a package
//! can say about it. Scores are the artifact's own numbers, widened to 64 bits and not rounded.

use std::collections::BTreeMap;

use ort::ErrorCode;

use crate::Error;
use crate::document::Document;
use crate::model::{Finding, Model};
use crate::package::Package;

mod options;
pub mod library;
mod graph;
mod session;
mod input;
mod column;
mod tokens;
mod output;
mod trial;
#[cfg(test)]
mod tests;

pub use options::{Activation, Options};

use graph::Graph;
use input::Row;
use output::Columns;
use trial::Pace;

/// A loaded ONNX model.
pub struct Onnx {
    graph: Graph,
    /// What the columns of the output are called.
    columns: Columns,
    activation: Activation,
    labels: Vec<String>,
    pace: Pace,
}

impl Onnx {
    /// Loads the artifact, tries it on a few documents and chooses how to run it.
    ///
    /// # Errors
    /// When ONNX Runtime's library is missing, when it can't run the artifact, or when the
    /// artifact does not fit the package's fields, labels, tokenizer or options.
    pub fn load(package: &Package) -> Result<Self, Error> {
        let graph = Graph::load(package)?;
        Self::try_out(graph, package)
            .map_err(|reason| Error::Artifact { artifact: package.artifact(), reason })
    }

    fn try_out(graph: Graph, package: &Package) -> Result<Self, String> {
        let documents = trial::documents(package)?;
        let rows = documents.iter().map(|document| graph.inputs.row(document));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let extremes = graph.inputs.extremes();
        for (what, row) in &extremes {
            let failed = |reason| format!("it can't compute {what}: {reason}");
            graph.compute(&[row]).map_err(failed)?;
        }
        let columns = graph.compute(&[&rows[0]]).map_err(|it| trial_failed(&it))?.columns;
        let labels = columns.labels(package.manifest.labels.as_deref())?;
        let options = &package.manifest.onnx;
        let activation = options.activation.unwrap_or(match (extremes.len(), columns.count()) {
            (0, _) => Activation::None,
            (_, 1) => Activation::Sigmoid,
            _ => Activation::Softmax,
        });
        let pace = Pace { max_batch: 1, is_quick: false };
        let mut onnx = Self { graph, columns, activation, labels, pace };
        onnx.pace = onnx.measure(&rows, extremes.last().map(|(_, row)| row), options)?;
        let Pace { max_batch, is_quick } = onnx.pace;
        tracing::info!(max_batch, is_quick, "the trial chose how the model runs");
        Ok(onnx)
    }

    fn measure(
        &self,
        rows: &[Row<'_>],
        longest: Option<&Row<'_>>,
        options: &Options,
    ) -> Result<Pace, String> {
        let longest = longest.unwrap_or(&rows[0]);
        let pace = Pace::measure(rows, longest, |rows| self.scores(rows));
        let pace = pace.map_err(|it| trial_failed(&it))?;
        let wanted = options.max_batch.map_or(pace.max_batch, usize::from);
        if wanted > 1 && !self.graph.is_batched {
            return Err("it computes one document at a time, so `max_batch` is 1".to_owned());
        }
        Ok(Pace { max_batch: wanted, ..pace })
    }

    fn scores(&self, rows: &[&Row<'_>]) -> Result<Vec<Vec<f64>>, String> {
        let output = self.graph.compute(rows)?;
        if output.columns != self.columns {
            return Err("its output has other labels than before".to_owned());
        }
        output.rows.into_iter().map(|row| self.finish(row)).collect()
    }

    /// Makes scores of a row's numbers, and two of one where it stands for two labels.
    fn finish(&self, mut row: Vec<f64>) -> Result<Vec<f64>, String> {
        self.activation.apply(&mut row);
        match row[..] {
            [score] if self.labels.len() == 2 => two_of(score).map(Vec::from),
            _ => Ok(row),
        }
    }

    /// The places of rows that can be computed at once: of one length, and not too many.
    fn batches(&self, rows: &[Result<Row<'_>, String>]) -> Vec<Vec<usize>> {
        let mut alike = BTreeMap::<_, Vec<_>>::new();
        for (place, row) in rows.iter().enumerate() {
            if let Ok(row) = row {
                alike.entry(row.length()).or_default().push(place);
            }
        }
        let chunks = |places: Vec<_>| -> Vec<Vec<_>> {
            places.chunks(self.pace.max_batch).map(<[_]>::to_vec).collect()
        };
        alike.into_values().flat_map(chunks).collect()
    }
}

impl Model for Onnx {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn score(&self, document: &Document) -> Result<Finding, String> {
        let row = self.graph.inputs.row(document)?;
        let scores = self.scores(&[&row])?.into_iter().flatten().collect();
        Ok(Finding { scores, spans: Vec::new() })
    }

    fn score_all(&self, documents: &[&Document]) -> Vec<Result<Finding, String>> {
        if self.pace.max_batch == 1 {
            return documents.iter().map(|document| self.score(document)).collect();
        }
        let rows: Vec<_> = documents.iter().map(|it| self.graph.inputs.row(it)).collect();
        let mut findings = vec![None; documents.len()];
        for places in self.batches(&rows) {
            let batch: Vec<_> = places.iter().filter_map(|&it| rows[it].as_ref().ok()).collect();
            let scores = self.scores(&batch).unwrap_or_default();
            for (place, scores) in places.into_iter().zip(scores) {
                findings[place] = Some(Finding { scores, spans: Vec::new() });
            }
        }
        // What failed together is tried alone, so that only the one at fault fails.
        let alone = |(finding, document): (Option<_>, &&Document)| {
            finding.map_or_else(|| self.score(document), Ok)
        };
        findings.into_iter().zip(documents).map(alone).collect()
    }

    fn max_batch(&self) -> usize {
        self.pace.max_batch
    }

    fn is_quick(&self) -> bool {
        self.pace.is_quick
    }
}

/// The scores of two labels, of which the artifact gives the second's.
fn two_of(score: f64) -> Result<[f64; 2], String> {
    if score.is_finite() && !(0.0..=1.0).contains(&score) {
        return Err(format!(
            "its one column is {score}, no probability of its second label; say as `activation` \
             of [onnx] in model.toml what makes one of it"
        ));
    }
    Ok([1.0 - score, score])
}

fn trial_failed(reason: &str) -> String {
    format!("a trial failed: {reason}; a [[canary]] in model.toml gives an input to try instead")
}

/// An error of ONNX Runtime, with what can be done about it where that is known.
fn explain(error: &ort::Error) -> String {
    let message = error.message().trim();
    let (_, locale) = message.split_once("construct locale with name:").unwrap_or_default();
    match (error.code(), locale.split_once(':')) {
        (_, Some((locale, _))) => format!(
            "it changes case in the locale `{locale}`, which this machine lacks: generate it (on \
             Debian: `apt-get install locales && localedef -i en_US -f UTF-8 en_US.UTF-8`), or \
             convert the model with the option `locale` set to `C.UTF-8`"
        ),
        (ErrorCode::InvalidProtobuf, _) => {
            format!("it is no ONNX model, or a damaged or incomplete one ({message})")
        }
        _ => message.to_owned(),
    }
}
