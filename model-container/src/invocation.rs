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
        JSON_LINES => Ok(Answer { content_type: JSON_LINES, body: lines(scorer, body) }),
        ND_JSON => Ok(Answer { content_type: ND_JSON, body: lines(scorer, body) }),
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
    let scored = parse(line).and_then(|fields: Map<_, _>| Ok(scorer.score_fields(&fields)?));
    let is_scored = scored.is_ok();
    match scored {
        Ok(prediction) => write(out, &prediction),
        Err(error) => write(out, &LineError { line: number, error }),
    }
    out.push(b'\n');
    is_scored
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
    Ok(Answer::json(&Batch { predictions, model: &scorer.identity }))
}

fn lines(scorer: &Scorer, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for (index, bytes) in body.split(|byte| *byte == b'\n').enumerate() {
        if !bytes.trim_ascii().is_empty() {
            line(scorer, index + 1, bytes, &mut out);
        }
    }
    out
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
