//! A loaded model with its package's identity, ready to answer.

use std::sync::Arc;

use tokio::time::Instant;

use crate::Error;
use crate::document::{Document, Field};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::model::{self, Finding};
use crate::package::{Canary, CanaryField, Input, Package, Runtime};
use crate::pool::{Pool, Refusal};
use crate::prediction::{Identity, Prediction};
use crate::telemetry;

/// A model that has passed its canaries.
pub struct Scorer {
    /// Which model this is.
    pub identity: Identity,
    /// How a request's fields become its input.
    pub input: Input,
    /// What runs it.
    pub runtime: Runtime,
    limits: Limits,
    pool: Pool,
}

impl Scorer {
    /// Loads the package's artifact and runs its canaries.
    ///
    /// # Errors
    /// When the artifact can't be scored rightly, or a canary gets another label than promised.
    pub async fn load(
        package: Package,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let package = Arc::new(package);
        let model = tokio::task::spawn_blocking({
            let package = Arc::clone(&package);
            move || model::load(&package)
        });
        let model = model.await.expect("loading does not panic")?;
        metrics.started("load", started.elapsed());

        let started = Instant::now();
        let pool = Pool::start(model, limits, Arc::clone(metrics));
        let scorer = Self::new(&package, pool, *limits);
        scorer.try_canaries(&package.manifest.canaries).await?;
        metrics.started("canary", started.elapsed());
        Ok(scorer)
    }

    fn new(package: &Package, pool: Pool, limits: Limits) -> Self {
        let Package { manifest, version, digest, .. } = package;
        let identity = Identity {
            name: manifest.name.clone(),
            version: version.clone(),
            digest: digest.clone(),
        };
        Self { identity, input: manifest.input.clone(), runtime: manifest.runtime, limits, pool }
    }

    /// The labels, in the order of the scores.
    pub fn labels(&self) -> &[String] {
        self.pool.labels()
    }

    /// Whether the model can answer, or why not; asks nobody, so that it answers at once.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn health(&self) -> Result<(), String> {
        Ok(())
    }

    /// When a request that begins now must have been answered.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limits.deadline
    }

    /// Scores the documents of one request, each with its prediction or its failure.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when no model was free in time, [`Error::Model`] when the model was
    /// still at work at the deadline.
    pub async fn score(
        &self,
        documents: Vec<Document>,
        deadline: Instant,
    ) -> Result<Vec<Result<Prediction<'_>, Error>>, Error> {
        telemetry::documents(documents.len());
        let scored = self.pool.score(documents, deadline).await;
        let scored = scored.map_err(|refusal| self.refused(refusal))?;
        Ok(scored.into_iter().map(|(document, finding)| self.predict(&document, finding)).collect())
    }

    fn predict(
        &self,
        document: &Document,
        finding: Result<Finding, String>,
    ) -> Result<Prediction<'_>, Error> {
        let finding = finding.map_err(|reason| self.failure(reason))?;
        if let Some(score) = finding.scores.iter().find(|score| !score.is_finite()) {
            return Err(self.failure(format!("its score is {score}")));
        }
        Ok(Prediction::new(self.labels(), finding, document, &self.input))
    }

    fn refused(&self, refusal: Refusal) -> Error {
        let Limits { queue, deadline, .. } = self.limits;
        match refusal {
            Refusal::Full => Error::Overloaded(format!("{queue} requests are waiting already")),
            Refusal::NotStarted => Error::Overloaded(format!("no model was free in {deadline:?}")),
            Refusal::Unfinished => self.failure(format!("it did not answer within {deadline:?}")),
        }
    }

    fn failure(&self, reason: String) -> Error {
        Error::Model { model: self.identity.name.clone(), reason }
    }

    async fn try_canaries(&self, canaries: &[Canary]) -> Result<(), Error> {
        for (index, canary) in canaries.iter().enumerate() {
            self.try_canary(canary).await.map_err(|reason| Error::Canary {
                model: self.identity.name.clone(),
                number: index + 1,
                reason,
            })?;
        }
        Ok(())
    }

    async fn try_canary(&self, canary: &Canary) -> Result<(), String> {
        let document = canary.document(&self.input).map_err(|error| error.to_string())?;
        let scored = self.score(vec![document], self.deadline()).await;
        let prediction = scored.and_then(|mut scored| scored.remove(0));
        let prediction = prediction.map_err(|error| error.to_string())?;
        match &canary.label {
            Some(label) if label != prediction.label => Err(format!(
                "expected label `{label}`, got `{}` with score {}",
                prediction.label, prediction.score
            )),
            _ => Ok(()),
        }
    }
}

impl Canary {
    /// The document that a request with this input would become.
    pub(crate) fn document(&self, input: &Input) -> Result<Document, Error> {
        let field = |name| self.input.get(name).map_or(Field::Absent, CanaryField::as_field);
        Document::of_fields(input, &input.names().map(field).collect::<Vec<_>>())
    }
}

impl CanaryField {
    fn as_field(&self) -> Field<'_> {
        match self {
            Self::Text(text) => Field::Text(text.into()),
            Self::Number(number) => Field::Number(*number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn load(canary_label: &str) -> Result<Scorer, Error> {
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
        Scorer::load(Package::open(dir.path())?, &Limits::default(), &Arc::default()).await
    }

    async fn evidence(title: &str, text: &str) -> serde_json::Value {
        let scorer = load("wine").await.unwrap();
        let fields = [Field::Text(title.into()), Field::Text(text.into())];
        let document = Document::of_fields(&scorer.input, &fields).unwrap();
        let mut scored = scorer.score(vec![document], scorer.deadline()).await.unwrap();
        serde_json::to_value(&scored.remove(0).unwrap().evidence).unwrap()
    }

    #[tokio::test]
    async fn a_canary_with_another_label_keeps_the_model_from_loading() {
        assert!(load("wine").await.is_ok());
        let error = load("none").await.err().unwrap().to_string();
        assert!(error.starts_with("canary 1 of model `wine`: expected label `none`"), "{error}");
    }

    #[tokio::test]
    async fn evidence_across_fields_is_given_in_each_of_them() {
        let expected = serde_json::json!([
            {"field": "title", "start": 3, "end": 10},
            {"field": "text", "start": 0, "end": 4},
        ]);
        assert_eq!(evidence("So call me", "0800 now").await, expected);
    }

    #[tokio::test]
    async fn evidence_counts_code_points_within_its_field() {
        let expected = serde_json::json!([
            {"field": "title", "start": 0, "end": 4},
            {"field": "text", "start": 6, "end": 10},
        ]);
        assert_eq!(evidence("wine", "süßer WINE 🍷").await, expected);
    }
}
