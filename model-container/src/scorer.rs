//! A loaded model with its package's identity, ready to answer.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
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
use crate::worker::{Call, Failure, Reply, Workers};

/// A model that has passed its canaries.
pub struct Scorer {
    /// Which model this is.
    pub identity: Identity,
    /// How a request's fields become its input.
    pub input: Input,
    /// What runs it.
    pub runtime: Runtime,
    limits: Limits,
    engine: Engine,
}

/// What answers.
enum Engine {
    /// A model in this process.
    Model(Pool),
    /// Processes of their own, which run the canaries themselves whenever one starts.
    Workers(Workers),
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
        let engine = match package.manifest.runtime {
            Runtime::Worker => Engine::Workers(Workers::start(&package, limits, metrics).await?),
            _ => Engine::Model(load_model(&package, limits, metrics).await?),
        };
        metrics.started("load", started.elapsed());

        let started = Instant::now();
        let scorer = Self::new(&package, engine, *limits);
        if let Engine::Model(_) = &scorer.engine {
            scorer.try_canaries(&package.manifest.canaries).await?;
        }
        metrics.started("canary", started.elapsed());
        Ok(scorer)
    }

    fn new(package: &Package, engine: Engine, limits: Limits) -> Self {
        let Package { manifest, version, digest, .. } = package;
        let identity = Identity::new(&manifest.name, version, digest);
        Self { identity, input: manifest.input.clone(), runtime: manifest.runtime, limits, engine }
    }

    /// The labels, in the order of the scores.
    pub fn labels(&self) -> &[String] {
        match &self.engine {
            Engine::Model(pool) => pool.labels(),
            Engine::Workers(workers) => workers.labels(),
        }
    }

    /// Whether the model can answer, or why not; asks nobody, so that it answers at once.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub fn health(&self) -> Result<(), String> {
        match &self.engine {
            Engine::Model(pool) => pool.health(),
            Engine::Workers(workers) => workers.health(),
        }
    }

    /// Ends what runs outside of this process, and waits until it has ended.
    pub async fn stop(&self) {
        if let Engine::Workers(workers) = &self.engine {
            workers.stop().await;
        }
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
        let pool = match &self.engine {
            Engine::Model(pool) => pool,
            Engine::Workers(workers) => return self.ask(workers, documents, deadline).await,
        };
        let scored = pool.score(documents, deadline).await;
        let scored = scored.map_err(|refusal| self.refused(refusal))?;
        Ok(scored.into_iter().map(|(document, finding)| self.predict(&document, finding)).collect())
    }

    /// The workers of a package that wants the bytes of a request and no fields.
    pub(crate) fn raw(&self) -> Option<Raw<'_>> {
        match &self.engine {
            Engine::Workers(workers) if workers.is_raw() => Some(Raw { scorer: self, workers }),
            _ => None,
        }
    }

    /// Has workers score documents, as many at a time as the workers can take.
    async fn ask(
        &self,
        workers: &Workers,
        documents: Vec<Document>,
        deadline: Instant,
    ) -> Result<Vec<Result<Prediction<'_>, Error>>, Error> {
        let asked = documents.into_iter().map(|document| async move {
            let call = Call::of_fields(&document.fields(&self.input), workers.is_raw());
            match telemetry::during("worker", workers.call(call, deadline)).await {
                Ok(Reply::Scores(scores)) => {
                    Ok(self.predict(&document, Ok(Finding::of_scores(scores))))
                }
                Ok(Reply::Raw { .. }) => Ok(Err(self.failure(
                    "it answers with bodies of its own, which only /invocations passes on"
                        .to_owned(),
                ))),
                Err(failure @ (Failure::Full | Failure::Late | Failure::Down(_))) => {
                    Err(self.failed(failure))
                }
                Err(failure) => Ok(Err(self.failed(failure))),
            }
        });
        stream::iter(asked).buffered(workers.places()).try_collect().await
    }

    fn predict(
        &self,
        document: &Document,
        finding: Result<Finding, String>,
    ) -> Result<Prediction<'_>, Error> {
        let finding = finding.map_err(|reason| self.failure(reason))?;
        if let Some(score) = finding.scores.iter().find(|score| !score.is_finite()) {
            let mut numbers = self.input.numbers.iter().zip(&document.numbers);
            return Err(match numbers.find(|(_, number)| number.is_nan()) {
                Some((name, _)) => Error::Unscorable(format!(
                    "field `{name}` is absent, and without it the score is {score}"
                )),
                None => self.failure(format!("its score is {score}")),
            });
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

    fn failed(&self, failure: Failure) -> Error {
        match failure {
            Failure::Full => self.refused(Refusal::Full),
            Failure::Late => self.refused(Refusal::NotStarted),
            Failure::Down(reason) => Error::Down(reason),
            Failure::Poisonous(reason) => Error::Unscorable(reason),
            Failure::Failed(reason) => self.failure(reason),
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
    /// The field as a request would give it.
    pub(crate) fn as_field(&self) -> Field<'_> {
        match self {
            Self::Text(text) => Field::Text(text.into()),
            Self::Number(number) => Field::Number(*number),
        }
    }
}

/// A scorer of requests as they came.
pub(crate) struct Raw<'a> {
    scorer: &'a Scorer,
    workers: &'a Workers,
}

/// What a raw worker made of a request.
pub(crate) enum RawAnswer<'a> {
    /// Scores, to be written as any model's.
    Prediction(Prediction<'a>),
    /// A body for the client as it is.
    Body {
        /// What it is.
        content_type: String,
        /// The bytes.
        body: Bytes,
    },
}

impl<'a> Raw<'a> {
    /// Hands a request to a worker.
    pub(crate) async fn answer(
        &self,
        call: Call,
        deadline: Instant,
    ) -> Result<RawAnswer<'a>, Error> {
        let scorer = self.scorer;
        match telemetry::during("worker", self.workers.call(call, deadline)).await {
            Ok(Reply::Raw { content_type, body }) => Ok(RawAnswer::Body { content_type, body }),
            Ok(Reply::Scores(scores)) => {
                let finding = Ok(Finding::of_scores(scores));
                scorer.predict(&Document::default(), finding).map(RawAnswer::Prediction)
            }
            Err(failure) => Err(scorer.failed(failure)),
        }
    }
}

async fn load_model(
    package: &Arc<Package>,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Result<Pool, Error> {
    let model = tokio::task::spawn_blocking({
        let package = Arc::clone(package);
        move || model::load(&package)
    });
    let model = model.await.expect("loading does not panic")?;
    Ok(Pool::start(model, limits, Arc::clone(metrics)))
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
