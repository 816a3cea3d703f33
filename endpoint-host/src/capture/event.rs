//! One captured call, and its line in SageMaker's format:
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html>

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::Rule;
use super::rule::Encoding;
use crate::meter::{Counters, Labels};

/// A call on its way to be written, and the room that it takes until it is.
pub(super) struct Event {
    /// The call.
    pub(super) captured: Captured,
    /// Its room.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What is known of a call once it was answered.
#[derive(Debug)]
pub(crate) struct Captured {
    /// What is to be written, and where.
    pub(crate) rule: Arc<Rule>,
    /// The endpoint and the variant that answered.
    pub(crate) labels: Labels,
    /// What the caller sent.
    pub(crate) input: Body,
    /// What the container answered.
    pub(crate) output: Body,
    /// The caller's own id of the call.
    pub(crate) inference_id: Option<String>,
    /// The caller's attributes.
    pub(crate) custom_attributes: Option<String>,
    /// When the call came.
    pub(crate) time: Timestamp,
    /// Where it is counted if it can't be written.
    pub(crate) counters: Arc<Counters>,
}

/// One side of a call.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Its content type, as it was sent.
    pub(crate) content_type: Option<String>,
    /// Its bytes.
    pub(crate) bytes: Bytes,
}

/// The line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    capture_data: Sides<'a>,
    event_metadata: Metadata<'a>,
    event_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sides<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_input: Option<Side<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_output: Option<Side<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_content_type: Option<&'a str>,
    mode: &'static str,
    data: String,
    encoding: Encoding,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    event_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_attributes: Option<[&'a str; 1]>,
    inference_time: String,
}

impl Captured {
    /// The bytes of both bodies.
    pub(super) fn size_bytes(&self) -> usize {
        self.input.bytes.len() + self.output.bytes.len()
    }

    /// The line, with its line break.
    pub(super) fn line(&self) -> Vec<u8> {
        let rule = &self.rule;
        let line = Line {
            capture_data: Sides {
                endpoint_input: rule.input.then(|| side(rule, &self.input, "INPUT")),
                endpoint_output: rule.output.then(|| side(rule, &self.output, "OUTPUT")),
            },
            event_metadata: Metadata {
                event_id: Uuid::new_v4(),
                inference_id: self.inference_id.as_deref(),
                custom_attributes: self.custom_attributes.as_deref().map(|all| [all]),
                inference_time: self.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
            event_version: "0",
        };
        let mut line = serde_json::to_vec(&line).expect("text is always JSON");
        line.push(b'\n');
        line
    }
}

fn side<'a>(rule: &Rule, body: &'a Body, mode: &'static str) -> Side<'a> {
    let content_type = body.content_type.as_deref();
    let encoding = rule.encoding(content_type);
    let (data, encoding) = match (encoding, std::str::from_utf8(&body.bytes)) {
        (Encoding::Csv | Encoding::Json, Ok(text)) => (text.to_owned(), encoding),
        _ => (BASE64_STANDARD.encode(&body.bytes), Encoding::Base64),
    };
    Side { observed_content_type: content_type, mode, data, encoding }
}
