//! One `POST /invocations`: what came in by its content type, what goes out.

mod media;
mod content;
mod answer;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::time::Instant;

use crate::prediction::Identity;
use crate::problem::Problem;
use crate::scorer::{Raw, RawAnswer};
use crate::worker::Call;
use crate::{Error, Prediction, Scorer};
use content::Content;
use media::Media;

pub use answer::Answer;
pub(crate) use answer::MAX_ANSWER_BYTES;

/// How many lines, rows or instances a request may have.
pub(crate) const MAX_CONTENTS: usize = 10_000;

/// What a request says besides its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The `Accept` header.
    pub accept: Option<&'a str>,
}

/// Scores a body of any content type that the container knows.
///
/// # Errors
/// A problem with the status and the sentence that the client is to get.
pub async fn answer(
    scorer: &Scorer,
    terms: Terms<'_>,
    body: &Bytes,
    deadline: Instant,
) -> Result<Answer, Problem> {
    if let Some(raw) = scorer.raw() {
        return Box::pin(pass_on(raw, &scorer.identity, terms, body, deadline)).await;
    }
    let media = Media::of_request(terms.content_type)?;
    let wanted = media.for_answer(terms.accept)?;
    match Content::read(&scorer.input, media, body)? {
        Content::One(document) => {
            let prediction = scorer.score(vec![document], deadline).await?.remove(0)?;
            Answer::one(wanted, prediction, &scorer.identity)
        }
        Content::Several(documents) => {
            let scored = scorer.score(documents, deadline).await?.into_iter().enumerate();
            let predictions = scored.map(|(index, prediction)| {
                prediction.map_err(|e| Problem::from(e).within(&format!("instances[{index}]")))
            });
            Answer::several(wanted, predictions.collect::<Result<_, _>>()?, &scorer.identity)
        }
        Content::Lines(lines) => {
            let lines = Box::pin(score_lines(scorer, lines, deadline)).await?;
            Answer::lines(wanted, lines, &scorer.identity)
        }
    }
}

/// Has a worker answer the request as it came.
async fn pass_on(
    raw: Raw<'_>,
    model: &Identity,
    terms: Terms<'_>,
    body: &Bytes,
    deadline: Instant,
) -> Result<Answer, Problem> {
    let call = Call::Raw {
        body: body.clone(),
        content_type: terms.content_type.unwrap_or_default().to_owned(),
        accept: terms.accept.unwrap_or_default().to_owned(),
    };
    match raw.answer(call, deadline).await? {
        RawAnswer::Prediction(prediction) => Answer::one(Media::Json, prediction, model),
        RawAnswer::Body { content_type, body } => Answer::of_worker(&content_type, body),
    }
}

/// Scores one line of JSON lines and writes the prediction, or the error in its place.
///
/// Returns whether there was a prediction.
pub(crate) async fn line(scorer: &Scorer, number: usize, line: &[u8], out: &mut Vec<u8>) -> bool {
    let lines = vec![(number, content::object(&scorer.input, line))];
    let scored = score_lines(scorer, lines, scorer.deadline()).await;
    let result = scored.and_then(|mut lines| lines.remove(0).1);
    let is_scored = result.is_ok();
    answer::write_line(out, number, result);
    is_scored
}

/// Writes an error in the place of the line's prediction.
pub(crate) fn line_error(number: usize, error: Problem, out: &mut Vec<u8>) {
    answer::write_line(out, number, Err(error));
}

type Line<T> = (usize, Result<T, Problem>);

/// Scores the lines that are well-formed, all together.
async fn score_lines<'a>(
    scorer: &'a Scorer,
    lines: Vec<Line<crate::document::Document>>,
    deadline: Instant,
) -> Result<Vec<Line<Prediction<'a>>>, Problem> {
    let mut documents = Vec::with_capacity(lines.len());
    let mut places = Vec::with_capacity(lines.len());
    for (number, document) in lines {
        places.push((number, document.map(|document| documents.push(document))));
    }
    let mut scored = scorer.score(documents, deadline).await?.into_iter();
    let next = |()| {
        let scored = scored.next().expect("every document gets its result");
        scored.map_err(|error: Error| Problem::from(error))
    };
    let mut next = next;
    Ok(places.into_iter().map(|(number, place)| (number, place.and_then(&mut next))).collect())
}

/// Refuses more contents than one request may have.
pub(crate) fn check_count(contents: usize) -> Result<(), Problem> {
    if contents <= MAX_CONTENTS {
        return Ok(());
    }
    let detail = format!("{contents} contents are more than the {MAX_CONTENTS} of one request");
    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}
