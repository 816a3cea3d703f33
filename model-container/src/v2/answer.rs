//! What an inference request gets back: the tensors it wants, as JSON or as bytes behind the JSON.

use hyper::StatusCode;
use serde::Serialize;

use super::metadata::list;
use super::request::{Output, Wish};
use crate::invocation::MAX_ANSWER_BYTES;
use crate::problem::Problem;
use crate::{Prediction, Scorer};

/// An answer with status 200.
pub struct Answer {
    /// The JSON, and the bytes of binary tensors behind it.
    pub body: Vec<u8>,
    /// Where the JSON ends and the bytes begin, if there are any.
    pub json_bytes: Option<usize>,
}

#[derive(Serialize)]
struct Object<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Tensor<'a>>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Default, Serialize)]
struct Parameters {
    /// What the columns of `scores` are, as a JSON list.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_data_size: Option<usize>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Texts(Vec<&'a str>),
    Numbers(Vec<f64>),
}

impl Answer {
    /// Writes the outputs in the order of the wishes, a row for each prediction.
    pub(crate) fn new(
        scorer: &Scorer,
        id: Option<&str>,
        wishes: &[Wish],
        predictions: &[Prediction<'_>],
    ) -> Result<Self, Problem> {
        let mut binary = Vec::new();
        let outputs = wishes.iter().map(|wish| {
            let tensor = Tensor::new(scorer, wish.output, predictions);
            if wish.is_binary { tensor.behind(&mut binary) } else { tensor }
        });
        let identity = &scorer.identity;
        let object = Object {
            model_name: &identity.name,
            model_version: &identity.version,
            id,
            outputs: outputs.collect(),
        };
        let mut body = serde_json::to_vec(&object).expect("an answer is always JSON");
        let json_bytes = wishes.iter().any(|wish| wish.is_binary).then_some(body.len());
        body.append(&mut binary);
        if body.len() > MAX_ANSWER_BYTES {
            let detail = format!(
                "the answer would be larger than {MAX_ANSWER_BYTES} bytes; send less at a time"
            );
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(Self { body, json_bytes })
    }
}

impl<'a> Tensor<'a> {
    fn new(scorer: &Scorer, output: Output, predictions: &[Prediction<'a>]) -> Self {
        let (rows, labels) = (predictions.len(), scorer.labels());
        let name = output.name();
        match output {
            Output::Label => {
                let texts = predictions.iter().map(|prediction| prediction.label);
                Self::of_data(name, vec![rows], Data::Texts(texts.collect()))
            }
            Output::Score => {
                let numbers = predictions.iter().map(|prediction| prediction.score);
                Self::of_data(name, vec![rows], Data::Numbers(numbers.collect()))
            }
            Output::Scores => {
                let numbers = predictions.iter().flat_map(|it| it.scores.values()).copied();
                let shape = vec![rows, labels.len()];
                let tensor = Self::of_data(name, shape, Data::Numbers(numbers.collect()));
                let parameters = Parameters { labels: Some(list(labels)), ..tensor.parameters };
                Self { parameters, ..tensor }
            }
        }
    }

    fn of_data(name: &'static str, shape: Vec<usize>, data: Data<'a>) -> Self {
        let datatype = match data {
            Data::Texts(_) => "BYTES",
            Data::Numbers(_) => "FP64",
        };
        Self { name, datatype, shape, parameters: Parameters::default(), data: Some(data) }
    }

    /// The same with its data appended to `binary`.
    fn behind(self, binary: &mut Vec<u8>) -> Self {
        let before = binary.len();
        if let Some(data) = &self.data {
            data.write(binary);
        }
        let binary_data_size = Some(binary.len() - before);
        Self { data: None, parameters: Parameters { binary_data_size, ..self.parameters }, ..self }
    }
}

impl Parameters {
    fn is_empty(&self) -> bool {
        self.labels.is_none() && self.binary_data_size.is_none()
    }
}

impl Data<'_> {
    /// Little-endian; each text behind its length in four bytes.
    fn write(&self, binary: &mut Vec<u8>) {
        match self {
            Self::Texts(texts) => {
                for text in texts {
                    let length = u32::try_from(text.len()).expect("a label is short");
                    binary.extend(length.to_le_bytes());
                    binary.extend(text.as_bytes());
                }
            }
            Self::Numbers(numbers) => binary.extend(numbers.iter().flat_map(|it| it.to_le_bytes())),
        }
    }
}
