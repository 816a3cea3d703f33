//! The package's canaries: tried in this process before anything is created, and asked of the
//! endpoint before anything points to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model_container::limits::{Environment, Limits};
use model_container::onnx::library;
use model_container::package::{Canary, Runtime};
use model_container::{Package, Scorer};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::sagemaker::SageMaker;

/// Loads the package and runs its canaries here.
pub(crate) async fn try_here(package: &Package) -> Result<(), Error> {
    let limits = Limits { environment: Environment::Bare, ..Limits::default() };
    let scorer = Scorer::load(package.clone(), &limits, &Arc::default()).await?;
    scorer.stop().await;
    Ok(())
}

/// What this machine lacks for running the package, if anything.
pub(crate) fn missing_here(package: &Package) -> Option<String> {
    match package.manifest.runtime {
        Runtime::Weka | Runtime::Lexicon => None,
        Runtime::Onnx => library::path().err(),
        Runtime::Worker => {
            let program = package.manifest.command.first()?;
            let is_here = match program.contains('/') {
                true => package.dir.join(program).exists(),
                false => in_path(program),
            };
            (!is_here).then(|| format!("there is no program `{program}`"))
        }
    }
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Asks the endpoint every canary of the package, and tells the labels that its answers score.
pub(crate) async fn ask(
    sagemaker: &SageMaker,
    endpoint: &str,
    package: &Package,
) -> Result<Vec<String>, Error> {
    let mut labels = BTreeSet::new();
    for (index, canary) in package.manifest.canaries.iter().enumerate() {
        let answer = sagemaker.invoke(endpoint, json!(canary.input).to_string().into()).await?;
        // A worker may answer with a body of its own; only a label can't be found in it.
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if let Some(other) = other_version(&answer, &package.digest) {
            return Err(Error::endpoint(endpoint, format!("another version answers, `{other}`")));
        }
        check(canary, &answer).map_err(|reason| {
            let reason = format!("canary {}: {reason}", index + 1);
            Error::Canary { endpoint: endpoint.to_owned(), reason }
        })?;
        labels.extend(answer["scores"].as_object().into_iter().flat_map(Map::keys).cloned());
    }
    Ok(labels.into_iter().collect())
}

/// The digest of the version that answered, if it is not this one.
fn other_version<'a>(answer: &'a Value, digest: &str) -> Option<&'a str> {
    answer["model"]["digest"].as_str().filter(|got| *got != digest)
}

/// Whether an answer is the one that the canary expects.
fn check(canary: &Canary, answer: &Value) -> Result<(), String> {
    match &canary.label {
        Some(label) if answer["label"] != label.as_str() => {
            Err(format!("it expects label `{label}` and got {}", answer["label"]))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_have_the_label_and_come_from_the_version_deployed() {
        let canary = Canary { input: Default::default(), label: Some("spam".to_owned()) };
        let check = |answer: Value| check(&canary, &answer);
        assert_eq!(check(json!({"label": "spam"})), Ok(()));
        assert!(check(json!({"label": "ham"})).unwrap_err().contains("got \"ham\""));
        assert!(check(json!("spam")).is_err());
        let answer = json!({"label": "spam", "model": {"digest": "sha256:2"}});
        assert_eq!(other_version(&answer, "sha256:1"), Some("sha256:2"));
        assert_eq!(other_version(&answer, "sha256:2"), None);
    }
}
