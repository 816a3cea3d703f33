//! Reads an inference request: a JSON object, and behind it the bytes of its binary tensors.

use hyper::StatusCode;
use serde::Deserialize;

use super::list::AtMost;
use super::tensor::{Column, Tensor};
use crate::document::{Document, Field};
use crate::invocation::MAX_CONTENTS;
use crate::package::Input;
use crate::problem::Problem;

/// How many outputs a request may name; a model has three.
const MAX_OUTPUTS: usize = 16;

/// A request, ready to be scored and answered.
#[derive(Debug)]
pub(crate) struct Request {
    /// The client's id, which the answer repeats.
    pub(crate) id: Option<String>,
    /// The outputs that it wants, in its order.
    pub(crate) outputs: Vec<Wish>,
    /// A document for each row of the tensors.
    pub(crate) documents: Vec<Document>,
}

/// An output that the client wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wish {
    pub(crate) output: Output,
    /// Whether its data comes as bytes behind the JSON.
    pub(crate) is_binary: bool,
}

/// What a model answers for each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Output {
    /// The label with the highest score.
    Label,
    /// That label's score.
    Score,
    /// Every label's score.
    Scores,
}

/// The JSON object of a request; what the protocol allows besides is ignored.
#[derive(Deserialize)]
struct Object<'a> {
    id: Option<String>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    inputs: AtMost<Tensor<'a>, MAX_CONTENTS>,
    outputs: Option<AtMost<RequestedOutput, MAX_OUTPUTS>>,
}

#[derive(Deserialize)]
struct Parameters {
    binary_data_output: Option<bool>,
}

#[derive(Deserialize)]
struct RequestedOutput {
    name: String,
    parameters: Option<OutputParameters>,
}

#[derive(Deserialize)]
struct OutputParameters {
    binary_data: Option<bool>,
}

impl Request {
    /// Reads a body whose JSON is its first `json_bytes`, or all of it.
    ///
    /// # Errors
    /// A problem that names the tensor, and what it should be.
    pub(crate) fn read(
        input: &Input,
        body: &[u8],
        json_bytes: Option<usize>,
    ) -> Result<Self, Problem> {
        let (json, binary) = split(body, json_bytes)?;
        let object: Object<'_> = serde_json::from_slice(json)
            .map_err(|error| bad_request(format!("this is no inference request: {error}")))?;
        let Object { id, parameters, inputs, outputs } = object;
        let is_binary = parameters.and_then(|given| given.binary_data_output).unwrap_or(false);
        let outputs = wishes(outputs.map(|outputs| outputs.0), is_binary)?;
        Ok(Self { id, outputs, documents: documents(input, &inputs.0, binary)? })
    }
}

impl Output {
    const ALL: [Self; 3] = [Self::Label, Self::Score, Self::Scores];

    /// The tensor's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Score => "score",
            Self::Scores => "scores",
        }
    }
}

pub(super) fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn split(body: &[u8], json_bytes: Option<usize>) -> Result<(&[u8], &[u8]), Problem> {
    let json_bytes = json_bytes.unwrap_or(body.len());
    body.split_at_checked(json_bytes).ok_or_else(|| {
        let length = body.len();
        bad_request(format!(
            "`Inference-Header-Content-Length` is {json_bytes}, but the body has {length} bytes"
        ))
    })
}

/// The outputs that are asked for; all of them where none is named.
fn wishes(named: Option<Vec<RequestedOutput>>, is_binary: bool) -> Result<Vec<Wish>, Problem> {
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return Ok(Output::ALL.map(|output| Wish { output, is_binary }).to_vec());
    };
    let mut wishes: Vec<Wish> = Vec::with_capacity(named.len());
    for RequestedOutput { name, parameters } in named {
        let output = Output::ALL.into_iter().find(|output| output.name() == name);
        let output = output.ok_or_else(|| {
            let names = Output::ALL.map(Output::name).join("`, `");
            bad_request(format!("there is no output `{name}`; the outputs are `{names}`"))
        })?;
        if wishes.iter().any(|wish| wish.output == output) {
            return Err(bad_request(format!("output `{name}` is asked for twice")));
        }
        let own = parameters.and_then(|given| given.binary_data);
        wishes.push(Wish { output, is_binary: own.unwrap_or(is_binary) });
    }
    Ok(wishes)
}

/// Puts the rows of all tensors together.
fn documents<'a>(
    input: &Input,
    tensors: &[Tensor<'a>],
    mut binary: &'a [u8],
) -> Result<Vec<Document>, Problem> {
    let mut columns: Vec<Option<Column<'_>>> = input.names().map(|_| None).collect();
    let mut rows = None;
    for tensor in tensors {
        let index = field(input, &tensor.name)?;
        let column = tensor.column(&mut binary)?;
        column.check_kind(&tensor.name, index < input.text.len())?;
        let first = *rows.get_or_insert(column.len());
        if column.len() != first {
            let (name, length) = (&tensor.name, column.len());
            let detail = format!("input `{name}` has {length} rows, and the first has {first}");
            return Err(bad_request(detail));
        }
        if columns[index].replace(column).is_some() {
            return Err(bad_request(format!("input `{}` is given twice", tensor.name)));
        }
    }
    if !binary.is_empty() {
        let detail = format!("{} bytes behind the JSON belong to no input", binary.len());
        return Err(bad_request(detail));
    }
    let rows = rows.ok_or_else(|| bad_request(format!("there are no inputs; {}", own(input))))?;
    (0..rows).map(|row| document(input, &mut columns, row)).collect()
}

fn document(
    input: &Input,
    columns: &mut [Option<Column<'_>>],
    row: usize,
) -> Result<Document, Problem> {
    let fields = columns.iter_mut().map(|column| match column {
        Some(column) => column.take(row),
        None => Field::Absent,
    });
    let document = Document::of_fields(input, &fields.collect::<Vec<_>>());
    document.map_err(|error| Problem::from(error).within(&format!("row {row}")))
}

fn field(input: &Input, tensor: &str) -> Result<usize, Problem> {
    input
        .names()
        .position(|name| name == tensor)
        .ok_or_else(|| bad_request(format!("there is no input `{tensor}`; {}", own(input))))
}

fn own(input: &Input) -> String {
    format!("the model's are `{}`", input.names().collect::<Vec<_>>().join("`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Input {
        Input { text: vec!["text".to_owned()], numbers: vec!["rating".to_owned()] }
    }

    fn read(json: &str, binary: &[u8]) -> Result<Request, String> {
        let body = [json.as_bytes(), binary].concat();
        let request = Request::read(&input(), &body, Some(json.len()));
        request.map_err(|problem| problem.detail().to_owned())
    }

    /// The numbers of a request with one column in JSON.
    fn numbers(datatype: &str, data: &str) -> Result<Vec<f64>, String> {
        let tensor = r#"{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["", ""]}"#;
        let json = format!(
            r#"{{"inputs": [{tensor}, {{"name": "rating", "datatype": "{datatype}",
                "shape": [2, 1], "data": {data}}}]}}"#
        );
        let documents = read(&json, b"")?.documents;
        Ok(documents.iter().map(|document| document.numbers[0]).collect())
    }

    /// The numbers of a request with one binary column.
    fn binary_numbers(datatype: &str, bytes: &[u8]) -> Result<Vec<f64>, String> {
        let json = format!(
            r#"{{"inputs": [{{"name": "rating", "datatype": "{datatype}", "shape": [2],
                "parameters": {{"binary_data_size": {}}}}}]}}"#,
            bytes.len()
        );
        let documents = read(&json, bytes)?.documents;
        Ok(documents.iter().map(|document| document.numbers[0]).collect())
    }

    #[test]
    fn numbers_come_in_every_width() {
        assert_eq!(numbers("FP64", "[0.1, -3]").unwrap(), [0.1, -3.0]);
        assert_eq!(numbers("FP32", "[0.1, -3]").unwrap(), [f64::from(0.1f32), -3.0]);
        assert_eq!(numbers("INT64", "[[5], [-5]]").unwrap(), [5.0, -5.0]);
        let bytes = [0.1f64, 2.0].map(f64::to_le_bytes).concat();
        assert_eq!(binary_numbers("FP64", &bytes).unwrap(), [0.1, 2.0]);
        let bytes = [0.1f32, 2.0].map(f32::to_le_bytes).concat();
        assert_eq!(binary_numbers("FP32", &bytes).unwrap(), [f64::from(0.1f32), 2.0]);
        let bytes = [i64::MIN, 7].map(i64::to_le_bytes).concat();
        assert_eq!(binary_numbers("INT64", &bytes).unwrap(), [-9_223_372_036_854_775_808.0, 7.0]);
        for (datatype, low) in [("INT8", -1.0), ("UINT8", 255.0)] {
            assert_eq!(binary_numbers(datatype, &[255, 1]).unwrap(), [low, 1.0]);
        }
        for (datatype, low) in [("INT16", -2.0), ("UINT16", 65_534.0)] {
            assert_eq!(binary_numbers(datatype, &[254, 255, 1, 0]).unwrap(), [low, 1.0]);
        }
        let bytes = [u32::MAX, 1].map(u32::to_le_bytes).concat();
        assert_eq!(binary_numbers("UINT32", &bytes).unwrap(), [4_294_967_295.0, 1.0]);
        assert_eq!(binary_numbers("INT32", &bytes).unwrap(), [-1.0, 1.0]);
        let bytes = [1u64 << 53, 1].map(u64::to_le_bytes).concat();
        assert_eq!(binary_numbers("UINT64", &bytes).unwrap(), [9_007_199_254_740_992.0, 1.0]);
    }

    #[test]
    fn a_number_that_is_null_or_nan_is_absent() {
        assert!(numbers("FP64", "[null, 1]").unwrap()[0].is_nan());
        let bytes = [f64::NAN, 1.0].map(f64::to_le_bytes).concat();
        let error = binary_numbers("FP64", &bytes).unwrap_err();
        assert_eq!(error, "row 0: none of the fields `text`, `rating` is present");
    }

    #[test]
    fn a_number_that_its_type_does_not_hold_is_refused() {
        let error = |datatype, data| numbers(datatype, data).unwrap_err();
        assert!(error("INT8", "[1, 300]").contains("input `rating`: its `data`: invalid value"));
        assert!(error("UINT32", "[-1, 1]").contains("expected u32"));
        assert!(error("INT32", "[1.5, 1]").contains("expected i32"));
        assert!(error("FP64", "[true, 1]").contains("expected f64"));
        assert!(error("FP64", r#"["1", 1]"#).contains("expected f64"));
        assert!(error("BYTES", r#"["1", "2"]"#).contains("`rating` is a number; its datatype"));
        let error = binary_numbers("FP64", &[0; 15]).unwrap_err();
        assert_eq!(
            error,
            "input `rating`: it has 15 bytes, and 2 elements of 8 bytes are expected"
        );
    }

    #[test]
    fn data_that_is_nested_without_end_is_refused() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert!(numbers("FP64", &deep).unwrap_err().contains("input `rating`: its `data`"));
        let error = read(&format!(r#"{{"inputs": {deep}}}"#), b"").unwrap_err();
        assert!(error.contains("this is no inference request"), "{error}");
    }

    #[test]
    fn a_request_that_is_cut_off_anywhere_is_refused() {
        let json = r#"{"id": "1", "parameters": {"binary_data_output": true}, "inputs": [
            {"name": "text", "datatype": "BYTES", "shape": [2, 1],
             "parameters": {"binary_data_size": 12}},
            {"name": "rating", "datatype": "FP32", "shape": [2],
             "parameters": {"binary_data_size": 8}}], "outputs": [{"name": "score"}]}"#;
        let binary = b"\x02\0\0\0ab\x02\0\0\0cd\0\0\x80\x3F\0\0\0\x40";
        let request = read(json, binary).unwrap();
        assert_eq!((request.id.as_deref(), request.documents.len()), (Some("1"), 2));
        assert_eq!(
            (request.documents[1].text.as_str(), request.documents[1].numbers[0]),
            ("cd", 2.0)
        );
        assert_eq!(request.outputs, [Wish { output: Output::Score, is_binary: true }]);
        for length in 0..json.len() {
            assert!(read(&json[..length], binary).is_err(), "{length} bytes of JSON");
        }
        for length in 0..binary.len() {
            assert!(read(json, &binary[..length]).is_err(), "{length} bytes behind it");
        }
    }
}
