//! What the server and its model are, as clients ask before they send anything.

use serde::Serialize;

use crate::Scorer;
use crate::package::Runtime;

/// The server.
#[derive(Debug, Serialize)]
pub(crate) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

impl ServerMetadata {
    /// This server.
    pub(crate) const OURS: Self = Self {
        name: "gatehouse-model-container",
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data"],
    };
}

/// A model.
#[derive(Debug, Serialize)]
pub(crate) struct ModelMetadata<'a> {
    name: &'a str,
    versions: [&'a str; 1],
    platform: &'static str,
    inputs: Vec<Tensor<'a>>,
    outputs: [Tensor<'a>; 3],
}

/// A tensor, -1 where its size is the request's.
#[derive(Debug, Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
}

#[derive(Debug, Serialize)]
struct Parameters {
    /// The labels as a JSON list: a parameter is a string, a number or a boolean.
    labels: String,
}

impl<'a> ModelMetadata<'a> {
    /// What this model reads and answers.
    pub(crate) fn new(scorer: &'a Scorer) -> Self {
        let texts = scorer.input.text.iter().map(|name| Tensor::of_rows(name, "BYTES"));
        let numbers = scorer.input.numbers.iter().map(|name| Tensor::of_rows(name, "FP64"));
        let scores = Tensor {
            shape: vec![-1, i64::try_from(scorer.labels().len()).unwrap_or(-1)],
            parameters: Some(Parameters { labels: list(scorer.labels()) }),
            ..Tensor::of_rows("scores", "FP64")
        };
        Self {
            name: &scorer.identity.name,
            versions: [&scorer.identity.version],
            platform: platform(scorer.runtime),
            inputs: texts.chain(numbers).collect(),
            outputs: [Tensor::of_rows("label", "BYTES"), Tensor::of_rows("score", "FP64"), scores],
        }
    }
}

impl<'a> Tensor<'a> {
    fn of_rows(name: &'a str, datatype: &'static str) -> Self {
        Self { name, datatype, shape: vec![-1], parameters: None }
    }
}

/// Labels as one parameter.
pub(super) fn list(labels: &[String]) -> String {
    serde_json::to_string(labels).expect("a list of texts is always JSON")
}

/// `<project>_<format>`, as the protocol names platforms.
fn platform(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Weka => "gatehouse_weka",
        Runtime::Lexicon => "gatehouse_lexicon",
        Runtime::Onnx => "onnxruntime_onnx",
        Runtime::Worker => "gatehouse_worker",
    }
}
