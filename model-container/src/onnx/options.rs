//! `[onnx]` in `model.toml`: what the graph does not say about itself, and bounds on its work.

use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

/// More sessions, threads or documents in a batch than this are a slip of the pen.
const MAX_COUNT: usize = 256;
/// More tokens than this no classifier reads.
const MAX_TOKENS: usize = 8192;
/// The tokenizer's file where the package names no other.
const TOKENIZER: &str = "tokenizer.json";

/// The `[onnx]` table; whatever is absent is found out when the model is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The output that holds the scores; default: the only one that can.
    pub output: Option<String>,
    /// What makes scores of the output's numbers; default: softmax after a tokenizer, else none.
    pub activation: Option<Activation>,
    /// The tokenizer's file inside the package; default: `tokenizer.json` where it is needed.
    pub tokenizer: Option<PathBuf>,
    /// How many tokens of a text are read; default: what the tokenizer's file says, else 512.
    pub max_tokens: Option<NonZeroUsize>,
    /// How many copies of the model work side by side; default: one for each processor,
    /// and a single one where the package is large.
    pub sessions: Option<NonZeroUsize>,
    /// How many threads each copy computes with; default: its share of the processors.
    pub threads: Option<NonZeroUsize>,
    /// How many documents are computed at once; default: several where a trial at the start shows
    /// that this is faster and changes no bit of the scores, else one.
    pub max_batch: Option<NonZeroUsize>,
}

/// What makes scores of a model's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// They are scores already.
    None,
    /// Together they become probabilities whose sum is 1.
    Softmax,
    /// Each becomes a probability of its own.
    Sigmoid,
}

impl Options {
    /// Refuses what is out of bounds, by name.
    pub(super) fn check(&self) -> Result<(), String> {
        let counts = [
            ("max_tokens", self.max_tokens, MAX_TOKENS),
            ("sessions", self.sessions, MAX_COUNT),
            ("threads", self.threads, MAX_COUNT),
            ("max_batch", self.max_batch, MAX_COUNT),
        ];
        for (name, count, most) in counts {
            if count.is_some_and(|count| count.get() > most) {
                return Err(format!("model.toml: `{name}` of [onnx] is at most {most}"));
            }
        }
        let mut parts = self.tokenizer.iter().flat_map(|path| path.components());
        if parts.any(|part| !matches!(part, Component::Normal(_))) {
            return Err("model.toml: `tokenizer` must be a path inside the package".to_owned());
        }
        Ok(())
    }

    /// The tokenizer's file inside the package, where it is if the model needs one.
    pub(super) fn tokenizer_file(&self) -> &Path {
        self.tokenizer.as_deref().unwrap_or(Path::new(TOKENIZER))
    }
}

impl Activation {
    /// Turns a row of the model's numbers into scores.
    pub(super) fn apply(self, row: &mut [f64]) {
        match self {
            Self::None => {}
            Self::Softmax => softmax(row),
            Self::Sigmoid => row.iter_mut().for_each(|x| *x = 1.0 / (1.0 + libm::exp(-*x))),
        }
    }
}

/// Subtracts the largest first, so that nothing overflows.
fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = libm::exp(*x - largest));
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str) -> Result<(), String> {
        toml::from_str::<Options>(toml).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        assert_eq!(check("output = 'p'\nactivation = 'sigmoid'\nmax_tokens = 8192"), Ok(()));
        assert!(check("max_tokens = 8193").unwrap_err().contains("`max_tokens` of [onnx]"));
        assert!(check("sessions = 0").unwrap_err().contains("nonzero"));
        assert!(check("tokenizer = '../t.json'").unwrap_err().contains("inside the package"));
        assert!(check("speed = 1").unwrap_err().contains("unknown field `speed`"));
        assert!(check("activation = 'relu'").unwrap_err().contains("unknown variant `relu`"));
    }

    #[test]
    fn a_softmax_of_large_numbers_is_finite_and_sums_to_one() {
        let mut row = [1000.0, 999.0, -1000.0];
        Activation::Softmax.apply(&mut row);
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!(row[0] > 0.73 && row[0] < 0.74 && row[2] == 0.0);
    }

    #[test]
    fn a_sigmoid_treats_each_number_by_itself() {
        let mut row = [0.0, 1000.0, -1000.0];
        Activation::Sigmoid.apply(&mut row);
        assert_eq!(row, [0.5, 1.0, 0.0]);
    }
}
