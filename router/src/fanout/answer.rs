//! Reads what a model answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::KnownScores;
use super::reader::{Form, Reading, Scores};
use crate::policy::model::{Digest, Labels, ModelDocument, Protocol};
use crate::policy::scope::Label;

/// The part of a model's answer that verdicts need.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// The model's version, where the answer names it.
    pub(crate) version: Option<Arc<str>>,
    /// The model's digest, where the answer names it.
    pub(crate) digest: Option<Digest>,
    /// The score of each label that has one.
    valid: KnownScores,
    /// The labels with something else in its place.
    invalid: BTreeSet<String>,
}

/// The most scores of one answer that are kept besides those asked for.
const MAX_SCORES: usize = 1000;

impl Answer {
    /// Reads an answer of a model that is registered so.
    pub(crate) fn parse(document: &ModelDocument, body: &[u8]) -> Result<Self, String> {
        let Reading { version, digest, scores } = document.form().read(body)?;
        if document.labels.as_ref().is_some_and(|labels| !labels.iter().any(|l| scores.has(l))) {
            return Err("the answer has none of the model's labels".to_owned());
        }
        let digest = digest.and_then(|digest| digest.parse().ok());
        let Scores { valid, invalid } = scores;
        Ok(Self { version, digest, valid: Arc::new(valid), invalid })
    }

    /// The scores of `labels`, in their order. Where one is missing or impossible, the others count
    /// all the same: they may be those of rules that know nothing of this label.
    pub(crate) fn scores(&self, labels: &[Label]) -> Vec<Option<f64>> {
        labels.iter().map(|label| self.valid.get(label.as_str()).copied()).collect()
    }

    /// What is wrong with the first of these labels that has no score.
    pub(crate) fn fault(&self, labels: &[Label]) -> Option<String> {
        let lacking = labels.iter().find(|label| !self.valid.contains_key(label.as_str()))?;
        let label = lacking.as_str();
        Some(match self.invalid.contains(label) {
            true => format!("the score of `{label}` is not a number from 0 to 1"),
            false => format!("the answer has no label `{label}`"),
        })
    }

    /// The valid scores of these labels and of all others, as far as there is room.
    pub(crate) fn all_scores(&self, labels: &[Label]) -> KnownScores {
        let is_label = |label: &String| Label::check(label).is_ok();
        if self.valid.len() <= MAX_SCORES && self.valid.keys().all(is_label) {
            return Arc::clone(&self.valid);
        }
        let valid = self.valid.iter().filter(|(label, _)| is_label(label));
        let mut all: BTreeMap<_, _> =
            valid.take(MAX_SCORES).map(|(label, score)| (label.clone(), *score)).collect();
        let asked_for = labels.iter().map(Label::as_str);
        let asked_for = asked_for.filter_map(|l| Some((l.to_owned(), *self.valid.get(l)?)));
        all.extend(asked_for);
        Arc::new(all)
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let labels = self.valid.keys().chain(&self.invalid);
        let labels: usize = labels.map(|label| label.len() + 64).sum();
        size_of::<Self>() + labels + self.version.as_ref().map_or(0, |version| version.len())
    }
}

impl ModelDocument {
    /// How the model's answers say their scores.
    fn form(&self) -> Form<'_> {
        match (&self.scores, self.protocol) {
            (Some(places), _) => Form::Places(places.iter().collect()),
            (None, Some(Protocol::V2)) => {
                Form::Tensors(self.labels.iter().flat_map(Labels::iter).collect())
            }
            (None, None) => Form::Own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer says to who asks for `spam` and `ham`.
    fn parse(text: &str) -> Result<Read, String> {
        let labels = ["spam", "ham"].map(|label| Label::try_from(label.to_owned()).unwrap());
        let document = ModelDocument::parse(r#"{"endpoint": {"sagemaker": "m"}}"#).unwrap();
        let answer = Answer::parse(&document, text.as_bytes())?;
        Ok(Read {
            scores: answer.scores(&labels),
            fault: answer.fault(&labels),
            all_scores: answer.all_scores(&labels),
            version: answer.version,
        })
    }

    #[derive(Debug)]
    struct Read {
        version: Option<Arc<str>>,
        scores: Vec<Option<f64>>,
        fault: Option<String>,
        all_scores: KnownScores,
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
        assert_eq!(answer.all_scores.keys().collect::<Vec<_>>(), ["spam"]);
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
            assert_eq!(answer.all_scores.keys().collect::<Vec<_>>(), ["ham", "spam"], "{odd}");
        }
    }

    #[test]
    fn scores_that_no_rule_asked_for_are_kept_within_bounds() {
        let text = r#"{"scores": {"ham": 0, "spam": 1, "x": 0.5, "": 0.5}}"#;
        let all = parse(text).unwrap().all_scores;
        assert_eq!(
            all.iter().map(|(label, score)| (label.as_str(), *score)).collect::<Vec<_>>(),
            [("ham", 0.0), ("spam", 1.0), ("x", 0.5)]
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
    fn an_answer_with_none_of_the_models_labels_is_another_models() {
        let text = r#"{"endpoint": {"sagemaker": "m"}, "labels": ["ham", "spam"]}"#;
        let document = ModelDocument::parse(text).unwrap();
        let parse = |text: &str| Answer::parse(&document, text.as_bytes());
        assert!(parse(r#"{"scores": {"spam": 1}}"#).is_ok());
        let fault = parse(r#"{"scores": {"cat": 0.5, "dog": 0.5}}"#).unwrap_err();
        assert_eq!(fault, "the answer has none of the model's labels");
    }

    #[test]
    fn a_fault_never_quotes_the_answer() {
        let fault = parse(r#"{"scores": "a secret"}"#).unwrap_err();
        assert!(!fault.contains("secret"), "{fault}");
    }
}
