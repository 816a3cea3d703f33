//! The package's canaries: tried in this process before anything is created, and asked of the
//! endpoint before anything points to it.

use std::sync::Arc;

use model_container::onnx::library;
use model_container::package::{Canary, Runtime};
use model_container::{Package, Scorer};
use serde_json::{Value, json};

use crate::Error;
use crate::sagemaker::SageMaker;

/// Loads the package and runs its canaries here.
pub(crate) async fn try_here(package: &Package) -> Result<(), Error> {
    let limits = model_container::Limits::default();
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

/// Asks the endpoint every canary of the package.
pub(crate) async fn ask(
    sagemaker: &SageMaker,
    endpoint: &str,
    package: &Package,
) -> Result<(), Error> {
    for (index, canary) in package.manifest.canaries.iter().enumerate() {
        let answer = sagemaker.invoke(endpoint, json!(canary.input).to_string().into()).await?;
        check(canary, &answer, &package.digest).map_err(|reason| {
            Error::unserved(endpoint, format!("canary {}: {reason}", index + 1))
        })?;
    }
    Ok(())
}

/// Whether an answer is the one that the canary expects, from the version that was deployed.
fn check(canary: &Canary, answer: &[u8], digest: &str) -> Result<(), String> {
    // A worker may answer with a body of its own; only a label can't be found in it.
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let digest_got = answer["model"]["digest"].as_str();
    if let Some(got) = digest_got.filter(|got| *got != digest) {
        return Err(format!("another version answered, `{got}`"));
    }
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
        let check = |answer: &str| check(&canary, answer.as_bytes(), "sha256:1");
        assert_eq!(check(r#"{"label": "spam", "model": {"digest": "sha256:1"}}"#), Ok(()));
        assert_eq!(check(r#"{"label": "spam"}"#), Ok(()));
        assert!(check(r#"{"label": "ham"}"#).unwrap_err().contains("got \"ham\""));
        assert!(check("spam").is_err());
        let other = check(r#"{"label": "spam", "model": {"digest": "sha256:2"}}"#);
        assert!(other.unwrap_err().contains("another version"));
    }
}
