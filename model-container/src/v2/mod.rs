//! The Open Inference Protocol, version 2, over REST: one tensor a field in, labels and scores out.
//!
//! Tensors come and go as JSON, or as bytes behind the JSON (Triton's binary tensor data extension).
//! The protocol: <https://github.com/kserve/open-inference-protocol>, `inference_rest.md`.

mod route;
mod metadata;
mod request;
mod tensor;
mod list;
mod answer;

use tokio::time::Instant;

use crate::Scorer;
use crate::problem::Problem;

pub use answer::Answer;
pub(crate) use metadata::{ModelMetadata, ServerMetadata};
pub(crate) use request::Request;
pub(crate) use route::{Question, Route};

/// Scores a request whose JSON is the first `json_bytes` of its body, or all of it.
///
/// # Errors
/// A problem with the status and the sentence that the client is to get.
pub async fn infer(
    scorer: &Scorer,
    body: &[u8],
    json_bytes: Option<usize>,
    deadline: Instant,
) -> Result<Answer, Problem> {
    let Request { id, outputs, documents } = Request::read(&scorer.input, body, json_bytes)?;
    let scored = scorer.score(documents, deadline).await?.into_iter().enumerate();
    let predictions = scored.map(|(row, prediction)| {
        prediction.map_err(|error| Problem::from(error).within(&format!("row {row}")))
    });
    let predictions = predictions.collect::<Result<Vec<_>, _>>()?;
    Answer::new(scorer, id.as_deref(), &outputs, &predictions)
}
