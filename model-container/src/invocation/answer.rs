//! What goes out: predictions as JSON, JSON lines or CSV.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Serialize;

use super::media::Media;
use crate::prediction::{Identity, Prediction};
use crate::problem::Problem;

/// How large an answer may be, as SageMaker's largest.
pub(crate) const MAX_ANSWER_BYTES: usize = 25 << 20;

/// An answer with status 200.
pub struct Answer {
    /// What the body is.
    pub content_type: HeaderValue,
    /// The body.
    pub body: Bytes,
}

/// A batch as one JSON value.
#[derive(Serialize)]
struct Batch<'a, T> {
    predictions: &'a [T],
    model: &'a Identity,
}

/// What stands in place of a line that could not be scored.
#[derive(Serialize)]
struct LineError {
    line: usize,
    error: Problem,
}

/// A line's prediction, or the error in its place.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Prediction(Prediction<'a>),
    Error(LineError),
}

impl Answer {
    /// Answers one object of fields or one text.
    pub(crate) fn one(
        media: Media,
        prediction: Prediction<'_>,
        model: &Identity,
    ) -> Result<Self, Problem> {
        if media != Media::Json {
            return Self::several(media, vec![prediction], model);
        }
        let mut body = Vec::with_capacity(512);
        write(&mut body, &prediction.signed(model));
        Self::new(media, body)
    }

    /// Answers a list or a table.
    pub(crate) fn several(
        media: Media,
        predictions: Vec<Prediction<'_>>,
        model: &Identity,
    ) -> Result<Self, Problem> {
        let mut body = Vec::with_capacity(128 * predictions.len());
        match media {
            Media::Csv => write_table(&mut body, &predictions),
            Media::Json | Media::Text => {
                write(&mut body, &Batch { predictions: &predictions, model });
            }
            Media::JsonLines | Media::NdJson => {
                for (index, prediction) in predictions.into_iter().enumerate() {
                    write_line(&mut body, index + 1, Ok(prediction));
                }
            }
        }
        Self::new(media, body)
    }

    /// Answers lines, where one that failed has its error in its place.
    ///
    /// A table has no place for an error, so there one spoils the answer.
    pub(crate) fn lines(
        media: Media,
        lines: Vec<super::Line<Prediction<'_>>>,
        model: &Identity,
    ) -> Result<Self, Problem> {
        if media == Media::Csv {
            let predictions = lines.into_iter().map(|(number, prediction)| {
                prediction.map_err(|problem| problem.within(&format!("line {number}")))
            });
            return Self::several(media, predictions.collect::<Result<_, _>>()?, model);
        }
        let mut body = Vec::with_capacity(128 * lines.len());
        let lines = lines.into_iter().map(|(number, result)| Line::new(number, result));
        if media == Media::Json {
            let predictions: Vec<_> = lines.collect();
            write(&mut body, &Batch { predictions: &predictions, model });
        } else {
            lines.for_each(|line| end_line(&mut body, &line));
        }
        Self::new(media, body)
    }

    /// Answers with what a worker wrote for the client.
    pub(crate) fn of_worker(content_type: &str, body: Bytes) -> Result<Self, Problem> {
        let content_type = HeaderValue::from_str(content_type).map_err(|_| {
            let detail = format!("the worker's content type {content_type:?} is none");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
        })?;
        Ok(Self { content_type, body })
    }

    fn new(media: Media, body: Vec<u8>) -> Result<Self, Problem> {
        if body.len() > MAX_ANSWER_BYTES {
            let detail = format!(
                "the answer would be larger than {MAX_ANSWER_BYTES} bytes; send less at a time"
            );
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let content_type = HeaderValue::from_static(media.name());
        Ok(Self { content_type, body: body.into() })
    }
}

impl<'a> Line<'a> {
    fn new(line: usize, result: Result<Prediction<'a>, Problem>) -> Self {
        match result {
            Ok(prediction) => Self::Prediction(prediction),
            Err(error) => Self::Error(LineError { line, error }),
        }
    }
}

/// Writes the prediction of one line, or the error in its place.
pub(crate) fn write_line(
    out: &mut Vec<u8>,
    number: usize,
    result: Result<Prediction<'_>, Problem>,
) {
    end_line(out, &Line::new(number, result));
}

fn end_line(out: &mut Vec<u8>, line: &Line<'_>) {
    write(out, line);
    out.push(b'\n');
}

/// A row for each prediction: the label, its score, and every label's score in their order.
fn write_table(out: &mut Vec<u8>, predictions: &[Prediction<'_>]) {
    let mut table = csv::Writer::from_writer(out);
    for prediction in predictions {
        let scores = prediction.scores.values().iter().map(|&score| number(score));
        let row = [prediction.label.to_owned(), number(prediction.score)].into_iter().chain(scores);
        table.write_record(row).expect("writing CSV into memory can't fail");
    }
}

/// A double as JSON writes it: the shortest text that reads back to the same bits.
fn number(value: f64) -> String {
    serde_json::to_string(&value).expect("a double is always JSON")
}

fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("writing JSON into memory can't fail");
}
