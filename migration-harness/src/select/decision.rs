//! What the old answer decided for, and how close it was.

use serde_json::{Map, Value};

use crate::compare::Form;
use crate::record::Record;

/// The label of an old answer, and how far its two best scores are apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// The label; none where the answer has none.
    pub(super) label: Option<String>,
    /// The distance between the two highest scores, where there are two.
    pub(super) margin: Option<Margin>,
}

/// A distance between two scores; small ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Margin(u64);

impl Decision {
    /// The decision of the first prediction in the old answer.
    pub(super) fn of(record: &Record) -> Self {
        let Some(answer) = first_value(record) else { return Self::default() };
        let prediction = answer.pointer("/predictions/0").unwrap_or(&answer);
        let label = prediction.get("label").and_then(Value::as_str).map(str::to_owned);
        let scores = prediction.get("scores").and_then(Value::as_object);
        Self { label, margin: scores.and_then(Margin::between_best) }
    }
}

impl Margin {
    fn between_best(scores: &Map<String, Value>) -> Option<Self> {
        let (mut best, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for score in scores.values().filter_map(Value::as_f64) {
            second = second.max(score.min(best));
            best = best.max(score);
        }
        // Doubles that are not negative are in the order of their bits.
        (second > f64::NEG_INFINITY).then(|| Self((best - second).to_bits()))
    }
}

fn first_value(record: &Record) -> Option<Value> {
    let answer = record.reply.answer.as_ref().ok()?.unpacked();
    match Form::of(&answer) {
        Form::Json => serde_json::from_slice(&answer.body).ok(),
        Form::Lines => serde_json::from_slice(answer.body.split(|b| *b == b'\n').next()?).ok(),
        Form::Csv | Form::Text => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    fn decision(content_type: &str, body: &'static str) -> Decision {
        let mut record = record("1", "spam", "a", "x");
        let answer = record.reply.answer.as_mut().unwrap();
        answer.content_type = Some(content_type.to_owned());
        answer.body = body.into();
        Decision::of(&record)
    }

    #[test]
    fn the_closer_the_two_best_scores_the_smaller_the_margin() {
        let margin = |body| decision("application/json", body).margin.unwrap();
        let close = margin(r#"{"scores": {"a": 0.1, "b": 0.46, "c": 0.44}}"#);
        let clear = margin(r#"{"predictions": [{"scores": {"a": 0.9, "b": 0.1}}]}"#);
        assert!(close < clear);
        assert_eq!(margin(r#"{"scores": {"a": 0.5, "b": 0.5}}"#), Margin(0));
    }

    #[test]
    fn the_first_line_decides_and_what_has_no_scores_has_no_margin() {
        let lines = "{\"label\": \"ham\"}\n{\"label\": \"spam\"}\n";
        let found = decision("application/jsonlines", lines);
        assert_eq!((found.label.as_deref(), found.margin), (Some("ham"), None));
        assert_eq!(decision("text/plain", "ham"), Decision::default());
    }

    #[test]
    fn a_compressed_answer_decides_as_what_it_holds() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packer, br#"{"label": "ham"}"#).unwrap();
        let mut record = record("1", "spam", "a", "x");
        let answer = record.reply.answer.as_mut().unwrap();
        answer.content_type = Some("application/json".to_owned());
        answer.headers.insert("content-encoding".to_owned(), "gzip".to_owned());
        answer.body = packer.finish().unwrap().into();
        assert_eq!(Decision::of(&record).label.as_deref(), Some("ham"));
    }
}
