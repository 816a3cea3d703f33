//! The body of one `POST /invocations`: what came in by its content type, what goes out.

use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::prediction::{Identity, Prediction};
use crate::problem::Problem;
use crate::{Error, Scorer};

/// An answer with status 200.
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

/// How many lines or instances a request may have.
const MAX_CONTENTS: usize = 10_000;
/// How large an answer may be, as SageMaker's largest.
const MAX_ANSWER_BYTES: usize = 25 << 20;

const JSON: &str = "application/json";
const JSON_LINES: &str = "application/jsonlines";
const ND_JSON: &str = "application/x-ndjson";

/// Scores a body of any content type that the container knows.
pub(crate) fn answer(
    scorer: &Scorer,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Answer, Problem> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/plain" => text(scorer, body),
        JSON => json(scorer, body),
        JSON_LINES => lines(scorer, body).map(|body| Answer { content_type: JSON_LINES, body }),
        ND_JSON => lines(scorer, body).map(|body| Answer { content_type: ND_JSON, body }),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "content type `{media_type}` is not one of text/plain, {JSON}, {JSON_LINES}, {ND_JSON}"
            ),
        )),
    }
}

/// Scores one line of JSON lines and writes the prediction, or the error in its place.
///
/// Returns whether there was a prediction.
pub(crate) fn line(scorer: &Scorer, number: usize, line: &[u8], out: &mut Vec<u8>) -> bool {
    match parse(line).and_then(|fields: Map<_, _>| Ok(scorer.score_fields(&fields)?)) {
        Ok(prediction) => {
            write(out, &prediction);
            out.push(b'\n');
            true
        }
        Err(problem) => {
            line_error(number, problem, out);
            false
        }
    }
}

/// Writes an error in the place of the line's prediction.
pub(crate) fn line_error(number: usize, error: Problem, out: &mut Vec<u8>) {
    write(out, &LineError { line: number, error });
    out.push(b'\n');
}

/// The answer to a batch.
#[derive(Serialize)]
struct Batch<'a> {
    predictions: Vec<Prediction<'a>>,
    model: &'a Identity,
}

/// What stands in place of a line that could not be scored.
#[derive(Serialize)]
struct LineError {
    line: usize,
    error: Problem,
}

fn text(scorer: &Scorer, body: &[u8]) -> Result<Answer, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    Ok(Answer::json(&scorer.score_text(text)?.signed(&scorer.identity)))
}

fn json(scorer: &Scorer, body: &[u8]) -> Result<Answer, Problem> {
    let mut fields: Map<String, Value> = parse(body)?;
    if let Some(Value::Array(instances)) = fields.get_mut("instances") {
        let instances = std::mem::take(instances);
        return batch(scorer, instances);
    }
    Ok(Answer::json(&scorer.score_fields(&fields)?.signed(&scorer.identity)))
}

fn batch(scorer: &Scorer, instances: Vec<Value>) -> Result<Answer, Problem> {
    check_count(instances.len())?;
    let scored = instances.into_iter().enumerate().map(|(index, instance)| {
        let Value::Object(fields) = instance else {
            return Err(malformed(format!("instances[{index}] is not an object of fields")));
        };
        scorer.score_fields(&fields).map_err(|error| match error {
            Error::Unscorable(reason) => {
                Error::Unscorable(format!("instances[{index}]: {reason}")).into()
            }
            error => Problem::from(error),
        })
    });
    let predictions = scored.collect::<Result<_, _>>()?;
    let answer = Answer::json(&Batch { predictions, model: &scorer.identity });
    check_size(answer.body.len())?;
    Ok(answer)
}

fn lines(scorer: &Scorer, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
    check_count(lines.len())?;
    let mut out = Vec::with_capacity(body.len());
    for (index, bytes) in lines {
        line(scorer, index + 1, bytes, &mut out);
        check_size(out.len())?;
    }
    Ok(out)
}

fn check_count(contents: usize) -> Result<(), Problem> {
    if contents <= MAX_CONTENTS {
        return Ok(());
    }
    Err(too_large(format!("{contents} contents are more than the {MAX_CONTENTS} of one request")))
}

fn check_size(answer_bytes: usize) -> Result<(), Problem> {
    if answer_bytes <= MAX_ANSWER_BYTES {
        return Ok(());
    }
    Err(too_large(format!(
        "the answer would be larger than {MAX_ANSWER_BYTES} bytes; send less at a time"
    )))
}

fn too_large(detail: String) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| malformed(format!("this is not a JSON object of fields: {error}")))
}

fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

impl Answer {
    fn json(value: &impl Serialize) -> Self {
        let mut body = Vec::with_capacity(256);
        write(&mut body, value);
        Self { content_type: JSON, body }
    }
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("writing JSON into memory can't fail");
}
