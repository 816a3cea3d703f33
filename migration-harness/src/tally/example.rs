//! A call that shows a difference, whole enough to be sent again.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::record::{Record, Reply, line};
use crate::report::ExampleDetail;
use crate::tally::{Finding, curl};
use crate::target::{FixedHeaders, Target};

/// How much of a request's body is kept: what can be sent again. There may be two thousand examples,
/// and the smallest request is chosen for each.
pub(crate) const MAX_REQUEST_BYTES: usize = 128 << 10;
/// How much of a body is shown.
const MAX_SHOWN_BYTES: usize = 64 << 10;
/// How much of the headers is kept.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// A call that shows a difference.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    /// How many records stand before it.
    pub(crate) sequence: u64,
    /// The captured call, its bodies cut where they are very long.
    pub(crate) record: Record,
    /// What the target replied.
    pub(crate) new: Reply,
    /// The size of the request's body.
    pub(crate) request_bytes: usize,
}

impl Example {
    /// Copies what is needed: the bodies of a finding may be parts of something larger.
    pub(crate) fn of(finding: &Finding<'_>) -> Self {
        let mut record = finding.record.clone();
        record.request.body = copied(&record.request.body, MAX_REQUEST_BYTES);
        cut_headers(&mut record.request.headers);
        if serde_json::to_string(&record.unknown).map_or(0, |text| text.len()) > MAX_HEADER_BYTES {
            record.unknown = Map::new();
        }
        cut(&mut record.reply);
        let mut new = finding.new.clone();
        cut(&mut new);
        let request_bytes = finding.record.request.body.len();
        Self { sequence: finding.sequence, record, new, request_bytes }
    }

    /// Whether the finding makes a smaller example.
    pub(crate) fn is_beaten_by(&self, finding: &Finding<'_>) -> bool {
        (finding.record.request.body.len(), finding.sequence) < self.size()
    }

    /// The smaller, the better; of equal ones, the first.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.request_bytes, self.sequence)
    }

    /// What the report shows of it, and how it is sent to the target again.
    pub(crate) fn detail(&self, target: &str) -> ExampleDetail {
        let Value::Object(mut reply) = form(&self.with_new_reply(), MAX_SHOWN_BYTES) else {
            unreachable!("the form of a record is an object");
        };
        reply.retain(|name, _| ["response", "error", "latency_us"].contains(&name.as_str()));
        ExampleDetail {
            sequence: self.sequence,
            record: form(&self.record, MAX_SHOWN_BYTES),
            reply: Value::Object(reply),
            curl: self.curl(target),
        }
    }

    /// The record with the target's reply in place of the captured one.
    pub(crate) fn with_new_reply(&self) -> Record {
        Record { reply: self.new.clone(), ..self.record.clone() }
    }

    fn curl(&self, target: &str) -> Option<String> {
        if self.request_bytes > MAX_REQUEST_BYTES {
            return None;
        }
        let url = Target::parse(target, FixedHeaders::default()).ok()?.url(&self.record)?;
        Some(curl::command(&url, &self.record.request))
    }
}

/// The form of a record; bodies longer than the limit are cut, and say so.
fn form(record: &Record, limit: usize) -> Value {
    let mut cut = record.clone();
    let is_request_cut = cut_body(&mut cut.request.body, limit);
    let answer = cut.reply.answer.as_mut();
    let is_answer_cut = answer.is_ok_and(|answer| cut_body(&mut answer.body, limit));
    let mut form = line::value(&cut);
    for (name, is_cut) in [("request", is_request_cut), ("response", is_answer_cut)] {
        if is_cut {
            form[name]["cut"] = true.into();
        }
    }
    form
}

/// Text stays text where the cut is within a character.
fn cut_body(body: &mut Bytes, limit: usize) -> bool {
    if body.len() <= limit {
        return false;
    }
    body.truncate(limit);
    if let Err(error) = std::str::from_utf8(body)
        && error.error_len().is_none()
    {
        body.truncate(error.valid_up_to());
    }
    true
}

/// A byte more than is shown tells that it was cut.
fn cut(reply: &mut Reply) {
    match &mut reply.answer {
        Ok(answer) => {
            // A person is to read it.
            *answer = answer.unpacked().into_owned();
            answer.body = copied(&answer.body, MAX_SHOWN_BYTES + 1);
            cut_headers(&mut answer.headers);
        }
        Err(reason) => reason.truncate(reason.floor_char_boundary(MAX_SHOWN_BYTES)),
    }
}

fn copied(body: &Bytes, most: usize) -> Bytes {
    Bytes::copy_from_slice(&body[..body.len().min(most)])
}

fn cut_headers(headers: &mut BTreeMap<String, String>) {
    let mut left = MAX_HEADER_BYTES;
    headers.retain(|name, value| {
        let bytes = name.len() + value.len();
        left = left.saturating_sub(bytes);
        left > 0
    });
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;
    use crate::difference::{Difference, Kind};
    use crate::tally::tests::record;

    #[test]
    fn long_bodies_are_cut_in_the_report_and_whole_for_curl() {
        let long: &'static str = "é".repeat(50_000).leak();
        let mut record = record("1", "spam", "toybox", long);
        record.reply.answer.as_mut().unwrap().body = long.into();
        let differences = vec![Difference::new("body", Kind::Text)];
        let finding = Finding { sequence: 7, record: &record, new: &record.reply, differences };
        let detail = Example::of(&finding).detail("http://127.0.0.1:1");
        for part in
            [&detail.record["request"], &detail.record["response"], &detail.reply["response"]]
        {
            assert_eq!((&part["cut"], &part["encoding"]), (&json!(true), &json!("utf8")));
            assert_eq!(part["body"].as_str().unwrap().len(), MAX_SHOWN_BYTES);
        }
        let curl = detail.curl.unwrap();
        assert!(curl.contains(&STANDARD.encode(long)), "{}", &curl[..200]);
        assert!(detail.reply.get("id").is_none());
    }

    #[test]
    fn a_request_that_is_too_long_to_be_kept_is_not_offered_to_be_sent() {
        let long: &'static str = "x".repeat(MAX_REQUEST_BYTES + 1).leak();
        let record = record("1", "spam", "toybox", long);
        let finding =
            Finding { sequence: 0, record: &record, new: &record.reply, differences: Vec::new() };
        let example = Example::of(&finding);
        assert_eq!(example.record.request.body.len(), MAX_REQUEST_BYTES);
        assert_eq!(example.detail("http://127.0.0.1:1").curl, None);
    }
}
