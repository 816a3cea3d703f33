//! `model.toml`: what the package's artifact is and how a request becomes its input.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::fault;
use crate::Error;

/// The contents of `model.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The model's name.
    pub name: String,
    /// Its version, where the package names one.
    pub version: Option<String>,
    /// What can run the artifact.
    pub runtime: Runtime,
    /// The artifact's path inside the folder.
    pub artifact: PathBuf,
    /// The labels, where the artifact does not carry them.
    pub labels: Option<Vec<String>>,
    /// How a request's fields become the model's input.
    #[serde(default)]
    pub input: Input,
    /// Inputs with a known label, tried before the model counts as loaded.
    #[serde(default, rename = "canary")]
    pub canaries: Vec<Canary>,
}

/// What can run an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// A serialized WEKA classifier, read natively.
    Weka,
    /// A list of terms with weights.
    Lexicon,
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Weka => "weka",
            Self::Lexicon => "lexicon",
        })
    }
}

/// How a request's fields become the model's input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The fields whose texts are joined by a line break, those that are present.
    pub text: Vec<String>,
}

impl Default for Input {
    fn default() -> Self {
        Self { text: vec!["text".to_owned()] }
    }
}

/// An input whose label is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The fields of the request.
    pub input: BTreeMap<String, String>,
    /// The label that must come out.
    pub label: String,
}

impl Manifest {
    /// Reads the `model.toml` among `files`, or makes one up for a bare artifact.
    pub(super) fn read(dir: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        let path = dir.join("model.toml");
        let manifest = if files.iter().any(|file| file == Path::new("model.toml")) {
            let text = fs::read_to_string(&path).map_err(Error::read(path))?;
            toml::from_str(&text).map_err(|source| fault(dir, format!("model.toml: {source}")))?
        } else {
            Self::of_bare_artifact(dir, files)?
        };
        manifest.check(dir, files)?;
        Ok(manifest)
    }

    /// A folder with one bare `.model` file is a package named after the folder.
    fn of_bare_artifact(dir: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        let mut models = files.iter().filter(|file| file.extension().is_some_and(|e| e == "model"));
        let (Some(artifact), None) = (models.next(), models.next()) else {
            let reason = "it has neither a `model.toml` nor exactly one `.model` file";
            return Err(fault(dir, reason));
        };
        let absolute = dir.canonicalize().map_err(Error::read(dir))?;
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name,
            version: None,
            runtime: Runtime::Weka,
            artifact: artifact.clone(),
            labels: None,
            input: Input::default(),
            canaries: Vec::new(),
        })
    }

    fn check(&self, dir: &Path, files: &[PathBuf]) -> Result<(), Error> {
        if self.name.is_empty() || self.version.as_ref().is_some_and(String::is_empty) {
            return Err(fault(dir, "model.toml: `name` and `version` must not be empty"));
        }
        let distinct = self.input.text.iter().collect::<HashSet<_>>().len();
        if distinct == 0 || distinct < self.input.text.len() {
            return Err(fault(
                dir,
                "model.toml: `input.text` names no field, or one of them twice",
            ));
        }
        if self.artifact.components().any(|part| !matches!(part, Component::Normal(_))) {
            let reason = "model.toml: `artifact` must be a path inside the package";
            return Err(fault(dir, reason));
        }
        if !files.contains(&self.artifact) {
            let artifact = self.artifact.display();
            return Err(fault(dir, format!("it has no file `{artifact}`, its artifact")));
        }
        Ok(())
    }
}
