//! Reads what a model answers.

use std::collections::BTreeMap;

use aws_sdk_sagemakerruntime::primitives::Blob;
use serde::Deserialize;
use serde_json::Value;

use crate::policy::json::{Object, distinct_keys};
use crate::policy::scope::Label;

/// The part of a model's answer that verdicts need.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// The model's version, where the answer names it.
    pub(crate) version: Option<String>,
    /// The scores of the labels asked for, in their order; none where there is no valid one.
    pub(crate) scores: Vec<Option<f64>>,
    /// What is wrong with the first label that has none.
    pub(crate) fault: Option<String>,
    /// The valid scores of all labels, asked for or not, as far as there is room.
    pub(crate) all_scores: BTreeMap<String, f64>,
}

/// The most scores of one answer that are kept besides those asked for.
const MAX_SCORES: usize = 1000;

impl Answer {
    /// The scores of `labels`. Where one is missing or impossible, the others count all the same:
    /// they may be those of rules that know nothing of this label.
    pub(crate) fn parse(body: &Blob, labels: &[Label]) -> Result<Self, String> {
        // The parser's own message may quote the body, which must not reach the log.
        let Object(wire): Object<Wire> = serde_json::from_slice(body.as_ref()).map_err(|e| {
            format!("not an answer of scores, at line {} column {}", e.line(), e.column())
        })?;
        let found: Vec<_> = labels.iter().map(|label| wire.score(label.as_str())).collect();
        let fault = found.iter().find_map(|score| score.as_ref().err().cloned());
        let scores: Vec<_> = found.into_iter().map(Result::ok).collect();
        let mut all_scores = wire.valid_scores();
        let asked_for = labels.iter().zip(&scores);
        all_scores.extend(
            asked_for.filter_map(|(label, score)| Some((label.as_str().to_owned(), (*score)?))),
        );
        Ok(Self { scores, fault, all_scores, version: wire.version() })
    }
}

#[derive(Deserialize)]
struct Wire {
    /// Any value, since the scores that no rule looks at may be anything.
    #[serde(deserialize_with = "distinct_keys")]
    scores: BTreeMap<String, Value>,
    #[serde(default)]
    model: Value,
}

impl Wire {
    fn score(&self, label: &str) -> Result<f64, String> {
        let score = self.scores.get(label);
        let score = score.ok_or_else(|| format!("the answer has no label `{label}`"))?;
        let valid = valid(score);
        valid.ok_or_else(|| format!("the score of `{label}` is not a number from 0 to 1"))
    }

    fn valid_scores(&self) -> BTreeMap<String, f64> {
        let valid = self.scores.iter().filter_map(|(label, score)| {
            let is_label = Label::try_from(label.clone()).is_ok();
            valid(score).filter(|_| is_label).map(|score| (label.clone(), score))
        });
        valid.take(MAX_SCORES).collect()
    }

    fn version(&self) -> Option<String> {
        match self.model.get("version")? {
            Value::String(version) => Some(version.clone()),
            Value::Number(version) => Some(version.to_string()),
            _ => None,
        }
    }
}

fn valid(score: &Value) -> Option<f64> {
    score.as_f64().filter(|score| (0.0..=1.0).contains(score))
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
        let answer = parse(text).unwrap();
        assert_eq!(
            (answer.version.as_deref(), &*answer.scores),
            (Some("3"), &[Some(0.9), Some(0.1)][..])
        );
    }

    #[test]
    fn a_label_that_is_missing_is_never_zero() {
        let answer = parse(r#"{"scores": {"spam": 0.9}}"#).unwrap();
        assert_eq!(answer.scores, [Some(0.9), None]);
        assert_eq!(answer.fault.as_deref(), Some("the answer has no label `ham`"));
        assert_eq!(answer.all_scores.into_keys().collect::<Vec<_>>(), ["spam"]);
    }

    #[test]
    fn impossible_scores_are_none() {
        for score in ["-0.1", "1.0000001", "\"0.5\"", "null"] {
            let text = format!(r#"{{"scores": {{"ham": 0, "spam": {score}}}}}"#);
            let answer = parse(&text).unwrap();
            assert_eq!(answer.scores, [None, Some(0.0)], "{score}");
            assert!(answer.fault.unwrap().contains("`spam` is not a number from 0 to 1"));
        }
        for score in ["NaN", "1e999"] {
            assert!(parse(&format!(r#"{{"scores": {{"ham": 0, "spam": {score}}}}}"#)).is_err());
        }
    }

    #[test]
    fn what_no_rule_asked_for_may_be_anything() {
        for odd in ["2", "-1", "null", "\"high\""] {
            let text = format!(r#"{{"scores": {{"ham": 0, "spam": 1, "x": {odd}}}}}"#);
            let answer = parse(&text).unwrap();
            assert_eq!(answer.scores, [Some(1.0), Some(0.0)], "{odd}");
            assert_eq!(answer.fault, None, "{odd}");
            assert_eq!(answer.all_scores.into_keys().collect::<Vec<_>>(), ["ham", "spam"], "{odd}");
        }
    }

    #[test]
    fn scores_that_no_rule_asked_for_are_kept_within_bounds() {
        let text = r#"{"scores": {"ham": 0, "spam": 1, "x": 0.5, "": 0.5}}"#;
        let all = parse(text).unwrap().all_scores;
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            [("ham".to_owned(), 0.0), ("spam".to_owned(), 1.0), ("x".to_owned(), 0.5)]
        );
        let many: Vec<_> = (0..5000).map(|i| format!(r#""l{i}": 0.5"#)).collect();
        let text = format!(r#"{{"scores": {{"ham": 0, "spam": 1, {}}}}}"#, many.join(", "));
        let all = parse(&text).unwrap().all_scores;
        assert_eq!((all.len(), all["spam"]), (MAX_SCORES + 1, 1.0));
    }

    #[test]
    fn a_version_is_a_text_or_a_number_or_is_not_named() {
        for (model, version) in [
            ("null", None),
            ("{}", None),
            ("[]", None),
            (r#"{"version": null}"#, None),
            (r#"{"version": 3}"#, Some("3")),
            (r#"{"version": "3b"}"#, Some("3b")),
        ] {
            let text = format!(r#"{{"scores": {{"ham": 0, "spam": 1}}, "model": {model}}}"#);
            assert_eq!(parse(&text).unwrap().version.as_deref(), version, "{model}");
        }
    }

    #[test]
    fn an_answer_is_an_object_that_scores_each_label_once() {
        assert!(parse(r#"[{"ham": 0, "spam": 1}]"#).is_err());
        assert!(parse(r#"{"scores": [0, 1]}"#).is_err());
        assert!(parse(r#"{"scores": {"ham": 0, "spam": 0.1, "spam": 1}}"#).is_err());
    }

    #[test]
    fn a_fault_never_quotes_the_answer() {
        let fault = parse(r#"{"scores": "a secret"}"#).unwrap_err();
        assert!(!fault.contains("secret"), "{fault}");
    }
}
