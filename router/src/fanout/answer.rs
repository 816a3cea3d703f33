//! Reads what a model answers.

use std::collections::BTreeMap;

use aws_sdk_sagemakerruntime::primitives::Blob;
use serde::Deserialize;

use crate::policy::scope::Label;

/// The part of a model's answer that verdicts need.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// The model's version, where the answer names it.
    pub(crate) version: Option<String>,
    /// The scores of the labels asked for, in their order.
    pub(crate) scores: Vec<f64>,
}

impl Answer {
    /// The scores of `labels`; an answer that lacks one, or has an impossible score, is no answer.
    pub(crate) fn parse(body: &Blob, labels: &[Label]) -> Result<Self, String> {
        // The parser's own message may quote the body, which must not reach the log.
        let wire: Wire = serde_json::from_slice(body.as_ref()).map_err(|e| {
            format!("not an answer of scores, at line {} column {}", e.line(), e.column())
        })?;
        if let Some((label, _)) =
            wire.scores.iter().find(|(_, score)| !(0.0..=1.0).contains(*score))
        {
            return Err(format!("the score of `{label}` is not from 0 to 1"));
        }
        let score = |label: &Label| wire.scores.get(label.as_str()).copied();
        let scores = labels.iter().map(|label| {
            score(label).ok_or_else(|| format!("the answer has no label `{}`", label.as_str()))
        });
        Ok(Self { scores: scores.collect::<Result<_, _>>()?, version: wire.model.version })
    }
}

#[derive(Deserialize)]
struct Wire {
    scores: BTreeMap<String, f64>,
    #[serde(default)]
    model: ModelFacts,
}

#[derive(Default, Deserialize)]
struct ModelFacts {
    version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Answer, String> {
        let labels = ["spam", "ham"].map(|label| Label::try_from(label.to_owned()).unwrap());
        Answer::parse(&Blob::new(text), &labels)
    }

    #[test]
    fn scores_come_in_the_order_asked_for() {
        let text = r#"{"label": "spam", "score": 0.9, "scores": {"ham": 0.1, "spam": 0.9, "x": 0},
                       "model": {"name": "spam", "version": "3", "digest": "sha256:0"}}"#;
        let answer = Answer { version: Some("3".to_owned()), scores: vec![0.9, 0.1] };
        assert_eq!(parse(text), Ok(answer));
    }

    #[test]
    fn a_label_that_is_missing_is_never_zero() {
        assert!(parse(r#"{"scores": {"spam": 0.9}}"#).unwrap_err().contains("`ham`"));
    }

    #[test]
    fn impossible_scores_are_refused() {
        for score in ["NaN", "1e999", "-0.1", "1.0000001", "\"0.5\"", "null"] {
            let text = format!(r#"{{"scores": {{"ham": 0, "spam": {score}}}}}"#);
            assert!(parse(&text).is_err(), "{score}");
        }
    }

    #[test]
    fn a_fault_never_quotes_the_answer() {
        let fault = parse(r#"{"scores": "a secret"}"#).unwrap_err();
        assert!(!fault.contains("secret"), "{fault}");
    }
}
