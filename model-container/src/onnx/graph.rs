//! The model's graph as something to call: rows in, numbers out.

use ort::session::Session;

use super::input::{Inputs, Row};
use super::output::{self, Output};
use super::session::{Factory, Sessions};
use super::tokens::{Lengths, Tokens};
use super::{Options, library};
use crate::Error;
use crate::package::Package;

/// What ONNX Runtime itself can read in one file.
const MAX_ARTIFACT_BYTES: u64 = 2 << 30;

/// The model's sessions, and how documents fill their inputs.
pub(super) struct Graph {
    /// How documents become rows, and rows tensors.
    pub(super) inputs: Inputs,
    /// Whether several rows can be computed at once.
    pub(super) is_batched: bool,
    sessions: Sessions,
}

impl Graph {
    /// Loads the package's artifact, once for each session.
    pub(super) fn load(package: &Package) -> Result<Self, Error> {
        let options = &package.manifest.onnx;
        options.check().map_err(|reason| package.fault(reason))?;
        let environment = library::environment().map_err(|reason| package.fault(reason))?;
        let artifact = package.artifact();
        let size = std::fs::metadata(&artifact).map_err(Error::read(&artifact))?.len();
        let refused = |reason| Error::Artifact { artifact: artifact.clone(), reason };
        if size > MAX_ARTIFACT_BYTES {
            return Err(refused(format!("it has {size} bytes, more than {MAX_ARTIFACT_BYTES}")));
        }
        let factory = Factory::new(environment, package);
        let first = factory.session().map_err(refused)?;
        let inputs = bind(&first, package)?;
        let is_batched = Inputs::are_batched(first.inputs());
        let output = output::choose(&first, options.output.as_deref()).map_err(refused)?;
        let sessions = factory.sessions(first, &output).map_err(refused)?;
        Ok(Self { inputs, is_batched, sessions })
    }

    /// Computes rows of one length.
    pub(super) fn compute(&self, rows: &[&Row<'_>]) -> Result<Output, String> {
        let tensors = self.inputs.tensors(rows)?;
        self.sessions.run(&tensors, |value| Output::read(value, rows.len()))
    }
}

/// Matches the artifact's inputs with the package's fields.
fn bind(session: &Session, package: &Package) -> Result<Inputs, Error> {
    let refused = |reason| Error::Artifact { artifact: package.artifact(), reason };
    let (outlets, input) = (session.inputs(), &package.manifest.input);
    let Options { tokenizer, max_tokens, .. } = &package.manifest.onnx;
    if Inputs::are_tokens(outlets) {
        if let Some(field) = input.numbers.first() {
            return Err(refused(format!("it reads tokens, not the number `{field}` of [input]")));
        }
        let tokens = read_tokenizer(package, Inputs::lengths(outlets))?;
        Inputs::of_tokens(outlets, tokens).map_err(refused)
    } else if tokenizer.is_some() || max_tokens.is_some() {
        let reason = "it has no input `input_ids`, so `tokenizer` and `max_tokens` of [onnx] in \
                      model.toml have no use";
        Err(refused(reason.to_owned()))
    } else {
        Inputs::of_fields(outlets, input).map_err(refused)
    }
}

fn read_tokenizer(package: &Package, lengths: Lengths) -> Result<Tokens, Error> {
    let options = &package.manifest.onnx;
    let name = options.tokenizer_file();
    let path = package.dir.join(name);
    if !path.is_file() {
        let name = name.display();
        let reason =
            format!("its model reads `input_ids`, so it needs a tokenizer's file `{name}`");
        return Err(package.fault(reason));
    }
    Tokens::load(&path, options.max_tokens.map(usize::from), lengths)
        .map_err(|reason| Error::Artifact { artifact: path, reason })
}
