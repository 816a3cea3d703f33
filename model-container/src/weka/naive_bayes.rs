//! `NaiveBayesMultinomial`: word weights become class probabilities.

use std::collections::HashSet;

use super::graph::{Array, Graph, Value};

const CLASS: &str = "weka.classifiers.bayes.NaiveBayesMultinomial";

/// The trained classifier.
pub(super) struct NaiveBayesMultinomial {
    priors: Vec<f64>,
    /// For each class, the logarithm of each attribute's probability.
    log_likelihoods: Vec<Vec<f64>>,
}

impl NaiveBayesMultinomial {
    /// Reads the classifier, which must be for so many classes and attributes.
    pub(super) fn read(
        graph: &Graph,
        classifier: Value,
        (classes, attributes): (usize, usize),
    ) -> Result<Self, String> {
        let object = graph.object(classifier, CLASS)?;
        let mut fields = object.fields(CLASS)?;
        let priors = fields.doubles("m_probOfClass")?.to_vec();
        let log_likelihoods = rows(graph, fields.value("m_probOfWordGivenClass")?)?;
        let fits = log_likelihoods.iter().all(|row| row.len() == attributes);
        if priors.len() != classes || log_likelihoods.len() != classes || !fits {
            return Err(format!(
                "the classifier is not for {classes} classes and {attributes} attributes"
            ));
        }
        if fields.int("m_numClasses")? != classes as i64 {
            return Err(format!("`{CLASS}.m_numClasses` is not {classes}"));
        }
        fields.ignore(&["m_headerInfo", "m_numAttributes"]);
        fields.finish()?;
        Ok(Self { priors, log_likelihoods })
    }

    /// The probability of each class; attribute 0 is the class itself and never among the words.
    pub(super) fn distribution(&self, words: &[(usize, f64)]) -> Result<Vec<f64>, String> {
        let logs = self.log_likelihoods.iter().map(|row| {
            words.iter().fold(0.0, |sum, (attribute, weight)| sum + weight * row[*attribute])
        });
        let logs: Vec<f64> = logs.collect();
        let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let joint = logs.iter().zip(&self.priors);
        let joint: Vec<f64> = joint.map(|(log, prior)| libm::exp(log - highest) * prior).collect();
        let total = joint.iter().fold(0.0, |sum, one| sum + one);
        if total == 0.0 || total.is_nan() {
            return Err(format!("its class probabilities add up to {total}"));
        }
        Ok(joint.into_iter().map(|one| one / total).collect())
    }
}

fn rows(graph: &Graph, matrix: Value) -> Result<Vec<Vec<f64>>, String> {
    let damaged = || format!("`{CLASS}.m_probOfWordGivenClass` is damaged");
    let Some(Array::Values(rows)) = graph.array(matrix) else {
        return Err(damaged());
    };
    // References to one long row would be cheap to write and dear to copy.
    let mut seen = HashSet::new();
    let doubles = |row: &Value| match (graph.array(*row), row) {
        (Some(Array::Doubles(doubles)), Value::Node(handle)) if seen.insert(*handle) => {
            Ok(doubles.clone())
        }
        (Some(Array::Doubles(_)), _) => Err(format!("`{CLASS}` has one row for two classes")),
        _ => Err(damaged()),
    };
    rows.iter().map(doubles).collect()
}
