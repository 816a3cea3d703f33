//! `model.toml`: what the package's artifact is and how a request becomes its input.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{fault, read_text};
use crate::{Error, onnx, worker};

/// How large a `model.toml` may be.
const MAX_BYTES: u64 = 1 << 20;

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
    /// The artifact's path inside the folder; a worker has none.
    #[serde(default)]
    pub artifact: PathBuf,
    /// The program of a worker and its arguments; others have none.
    #[serde(default)]
    pub command: Vec<String>,
    /// Whether a worker gets the request's bytes instead of its fields.
    #[serde(default)]
    pub raw: bool,
    /// What an ONNX artifact does not say about itself; others have none.
    #[serde(default)]
    pub onnx: onnx::Options,
    /// How a worker's processes are run.
    pub worker: Option<worker::Options>,
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
    /// A graph for ONNX Runtime.
    Onnx,
    /// A program of any language, as a child process.
    Worker,
}

impl Runtime {
    /// What runs a bare file of this name, whose ending may be in capitals.
    fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "model" => Some(Self::Weka),
            "onnx" => Some(Self::Onnx),
            _ => None,
        }
    }
}

impl std::fmt::Display for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Weka => "weka",
            Self::Lexicon => "lexicon",
            Self::Onnx => "onnx",
            Self::Worker => "worker",
        })
    }
}

/// How a request's fields become the model's input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, from = "InputTable")]
pub struct Input {
    /// The fields whose texts are joined by a line break, those that are present.
    pub text: Vec<String>,
    /// The fields that are numbers, for models that read some.
    pub numbers: Vec<String>,
}

/// `[input]` as it is written; a model without any field reads `text`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputTable {
    #[serde(default)]
    text: Vec<String>,
    #[serde(default)]
    numbers: Vec<String>,
}

impl From<InputTable> for Input {
    fn from(InputTable { text, numbers }: InputTable) -> Self {
        if text.is_empty() && numbers.is_empty() { Self::default() } else { Self { text, numbers } }
    }
}

impl Default for Input {
    fn default() -> Self {
        Self { text: vec!["text".to_owned()], numbers: Vec::new() }
    }
}

/// An input whose label is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The fields of the request.
    pub input: BTreeMap<String, CanaryField>,
    /// The label that must come out; without one any answer will do.
    pub label: Option<String>,
}

/// A field of a canary.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum CanaryField {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
}

impl Manifest {
    /// Reads the `model.toml` among `files`, or makes one up for a bare artifact.
    pub(super) fn read(dir: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        if files.iter().any(|file| file == Path::new("model.toml")) {
            let text = read_text(&dir.join("model.toml"), MAX_BYTES)?;
            return Self::parse(dir, &text, files);
        }
        let manifest = Self::of_bare_artifact(dir, files)?;
        manifest.check(dir, files)?;
        Ok(manifest)
    }

    /// Reads the text of the `model.toml` in `dir`, whose artifact must be one of `files`.
    ///
    /// # Errors
    /// When it is not of the documented form; the message names the field.
    pub fn parse(dir: &Path, text: &str, files: &[PathBuf]) -> Result<Self, Error> {
        let fault = |source| fault(dir, format!("model.toml: {source}"));
        let manifest: Self = toml::from_str(text).map_err(fault)?;
        manifest.check(dir, files)?;
        Ok(manifest)
    }

    /// A folder with one bare `.model` or `.onnx` file is a package named after the folder.
    fn of_bare_artifact(dir: &Path, files: &[PathBuf]) -> Result<Self, Error> {
        let mut artifacts = files.iter().filter_map(|file| Some((file, Runtime::of_file(file)?)));
        let (Some((artifact, runtime)), None) = (artifacts.next(), artifacts.next()) else {
            let reason = "it has neither a `model.toml` nor exactly one `.model` or `.onnx` file";
            return Err(fault(dir, reason));
        };
        let absolute = dir.canonicalize().map_err(Error::read(dir))?;
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name,
            version: None,
            runtime,
            artifact: artifact.clone(),
            command: Vec::new(),
            raw: false,
            onnx: onnx::Options::default(),
            worker: None,
            labels: None,
            input: Input::default(),
            canaries: Vec::new(),
        })
    }

    fn check(&self, dir: &Path, files: &[PathBuf]) -> Result<(), Error> {
        if self.name.is_empty() || self.version.as_ref().is_some_and(String::is_empty) {
            return Err(fault(dir, "model.toml: `name` and `version` must not be empty"));
        }
        let mut names = HashSet::new();
        if !self.input.names().all(|name| names.insert(name)) {
            return Err(fault(dir, "model.toml: `input` names one of its fields twice"));
        }
        if self.runtime != Runtime::Onnx && self.onnx != onnx::Options::default() {
            return Err(fault(dir, "model.toml: [onnx] is for the runtime `onnx` only"));
        }
        let mut labels = HashSet::new();
        if !self.labels.iter().flatten().all(|label| !label.is_empty() && labels.insert(label)) {
            return Err(fault(dir, "model.toml: one of the `labels` is empty or there twice"));
        }
        self.check_canaries(dir)?;
        if self.runtime == Runtime::Worker {
            self.check_worker(dir)
        } else {
            self.check_artifact(dir, files)
        }
    }

    fn check_canaries(&self, dir: &Path) -> Result<(), Error> {
        let is_declared = |field: &str| self.raw || self.input.names().any(|name| name == field);
        for (number, canary) in (1..).zip(&self.canaries) {
            if let Some(field) = canary.input.keys().find(|field| !is_declared(field)) {
                let reason = format!("`{field}` of canary {number} is no field of `input`");
                return Err(fault(dir, format!("model.toml: {reason}")));
            }
        }
        Ok(())
    }

    fn check_worker(&self, dir: &Path) -> Result<(), Error> {
        if self.command.is_empty() || self.artifact != Path::new("") {
            let reason = "model.toml: a worker has a `command`, and no `artifact`";
            return Err(fault(dir, reason));
        }
        if self.labels.as_deref().unwrap_or_default().is_empty() && !self.raw {
            let reason = "model.toml: a worker needs `labels`; only a raw one has none";
            return Err(fault(dir, reason));
        }
        Ok(())
    }

    fn check_artifact(&self, dir: &Path, files: &[PathBuf]) -> Result<(), Error> {
        if !self.command.is_empty() || self.raw || self.worker.is_some() {
            let reason = "model.toml: `command`, `raw` and `[worker]` are for workers only";
            return Err(fault(dir, reason));
        }
        if self.artifact == Path::new("") {
            return Err(fault(dir, "model.toml: `artifact` is missing"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> Result<Manifest, String> {
        let head = "name = 'x'\nruntime = 'onnx'\nartifact = 'model.onnx'";
        let files = [PathBuf::from("model.onnx")];
        Manifest::parse(Path::new("x"), &format!("{head}\n{toml}"), &files)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_repeated_or_empty_label_is_refused() {
        assert!(parse("labels = ['ham', 'spam']").is_ok());
        for labels in ["['spam', 'spam']", "['ham', '']"] {
            let error = parse(&format!("labels = {labels}")).unwrap_err();
            assert!(error.contains("one of the `labels` is empty or there twice"), "{error}");
        }
    }

    #[test]
    fn a_canary_with_a_field_that_is_not_declared_is_refused_unless_a_raw_worker_reads_it() {
        assert!(parse("[[canary]]\ninput = { text = 'a' }").is_ok());
        let error = parse("[[canary]]\ninput = { text = 'a', txt = 'b' }").unwrap_err();
        assert!(error.contains("`txt` of canary 1 is no field of `input`"), "{error}");
        let raw = "name = 'x'\nruntime = 'worker'\ncommand = ['x']\nraw = true\n
                   [[canary]]\ninput = { txt = 'a' }";
        assert!(Manifest::parse(Path::new("x"), raw, &[]).is_ok());
    }
}
