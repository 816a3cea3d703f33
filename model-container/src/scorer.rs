//! A loaded model with its package's identity, ready to answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};

use crate::document::Document;
use crate::model::{self, Model};
use crate::package::{Canary, Input, Package};
use crate::prediction::{Identity, Prediction};
use crate::{Error, package::Runtime};

/// A model that has passed its canaries.
pub struct Scorer {
    /// Which model this is.
    pub identity: Identity,
    /// How a request's fields become its input.
    pub input: Input,
    /// What runs it.
    pub runtime: Runtime,
    model: Box<dyn Model>,
}

impl Scorer {
    /// Loads the package's artifact and runs its canaries.
    ///
    /// # Errors
    /// When the artifact can't be scored rightly, or a canary gets another label than promised.
    pub fn load(package: &Package) -> Result<Self, Error> {
        let model = model::load(package)?;
        let Package { manifest, version, digest, .. } = package;
        let identity = Identity {
            name: manifest.name.clone(),
            version: version.clone(),
            digest: digest.clone(),
        };
        let input = manifest.input.clone();
        let scorer = Self { identity, input, runtime: manifest.runtime, model };
        for (index, canary) in manifest.canaries.iter().enumerate() {
            scorer.try_canary(canary).map_err(|reason| Error::Canary {
                model: scorer.identity.name.clone(),
                number: index + 1,
                reason,
            })?;
        }
        Ok(scorer)
    }

    /// The labels, in the order of the scores.
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// Scores the object of fields of one request.
    ///
    /// # Errors
    /// [`Error::Unscorable`] for the request's faults, [`Error::Model`] for the model's.
    pub fn score_fields(&self, fields: &Map<String, Value>) -> Result<Prediction<'_>, Error> {
        self.score(&Document::of_fields(&self.input, fields)?)
    }

    /// Scores a text that stands for the first declared field.
    ///
    /// # Errors
    /// [`Error::Model`] when the model fails.
    pub fn score_text(&self, text: &str) -> Result<Prediction<'_>, Error> {
        self.score(&Document::of_text(&self.input, text))
    }

    /// A panic inside a model is that call's failure and nobody else's.
    fn score<'a>(&'a self, document: &Document<'a>) -> Result<Prediction<'a>, Error> {
        let finding = catch_unwind(AssertUnwindSafe(|| self.model.score(&document.text)))
            .unwrap_or_else(|_| Err("it panicked".to_owned()))
            .map_err(|reason| self.failure(reason))?;
        if let Some(score) = finding.scores.iter().find(|score| !score.is_finite()) {
            return Err(self.failure(format!("its score is {score}")));
        }
        Ok(Prediction::new(self.model.labels(), finding, document))
    }

    fn failure(&self, reason: String) -> Error {
        Error::Model { model: self.identity.name.clone(), reason }
    }

    fn try_canary(&self, canary: &Canary) -> Result<(), String> {
        let text = |(name, text): (&String, &String)| (name.clone(), Value::String(text.clone()));
        let fields = canary.input.iter().map(text).collect();
        let prediction = self.score_fields(&fields).map_err(|error| error.to_string())?;
        if prediction.label == canary.label {
            return Ok(());
        }
        Err(format!(
            "expected label `{}`, got `{}` with score {}",
            canary.label, prediction.label, prediction.score
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(canary_label: &str) -> Result<Scorer, Error> {
        let dir = tempfile::tempdir().unwrap();
        let manifest = format!(
            "name = 'wine'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n
             input.text = ['title', 'text']\n
             [[canary]]\ninput = {{ title = 'x', text = 'red wine' }}\nlabel = '{canary_label}'\n"
        );
        std::fs::write(dir.path().join("model.toml"), manifest).unwrap();
        let terms = "label = 'wine'\n[[term]]\ntext = 'wine'\nweight = 0.9\n
                     [[term]]\npattern = '(^|\\s)call me\\s+\\d+'\nweight = 0.1\n";
        std::fs::write(dir.path().join("terms.toml"), terms).unwrap();
        Scorer::load(&Package::open(dir.path())?)
    }

    #[test]
    fn a_canary_with_another_label_keeps_the_model_from_loading() {
        assert!(load("wine").is_ok());
        let error = load("none").err().unwrap().to_string();
        assert!(error.starts_with("canary 1 of model `wine`: expected label `none`"), "{error}");
    }

    #[test]
    fn evidence_across_fields_is_given_in_each_of_them() {
        let scorer = load("wine").unwrap();
        let fields = serde_json::json!({"title": "So call me", "text": "0800 now"});
        let prediction = scorer.score_fields(fields.as_object().unwrap()).unwrap();
        let evidence = serde_json::to_value(&prediction.evidence).unwrap();
        let expected = serde_json::json!([
            {"field": "title", "start": 3, "end": 10},
            {"field": "text", "start": 0, "end": 4},
        ]);
        assert_eq!(evidence, expected);
    }

    #[test]
    fn evidence_counts_code_points_within_its_field() {
        let scorer = load("wine").unwrap();
        let fields = serde_json::json!({"title": "wine", "text": "süßer WINE 🍷"});
        let prediction = scorer.score_fields(fields.as_object().unwrap()).unwrap();
        let evidence = serde_json::to_value(&prediction.evidence).unwrap();
        let expected = serde_json::json!([
            {"field": "title", "start": 0, "end": 4},
            {"field": "text", "start": 6, "end": 10},
        ]);
        assert_eq!(evidence, expected);
    }
}
