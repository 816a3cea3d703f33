//! SageMaker Data Capture: an event a line, in folders by endpoint, variant and hour.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::{Call, Found, Take};
use super::input;
use crate::error::Error;
use crate::record::{Answer, Reply, Request};

/// Reads a file; `path` tells endpoint and variant where it is laid out as SageMaker does.
pub(super) fn read(
    path: &Path,
    reader: &mut dyn BufRead,
    take: &mut Take<'_>,
) -> Result<(), Error> {
    let layout = Layout::of(path);
    input::each_line(reader, take, |line| Found::of(call(line, layout.as_ref())))
}

/// What the folders say: `ENDPOINT/VARIANT/yyyy/mm/dd/hh/FILE`.
struct Layout {
    endpoint: String,
    variant: String,
}

impl Layout {
    fn of(path: &Path) -> Option<Self> {
        let names: Vec<_> = path.iter().rev().skip(1).take(6).map(|name| name.to_str()).collect();
        let [hour, day, month, year, variant, endpoint] = names[..] else { return None };
        let lengths = [(hour, 2), (day, 2), (month, 2), (year, 4)];
        let is_date = lengths.iter().all(|(name, length)| {
            name.is_some_and(|name| {
                name.len() == *length && name.bytes().all(|byte| byte.is_ascii_digit())
            })
        });
        let [endpoint, variant] = [endpoint?.to_owned(), variant?.to_owned()];
        is_date.then_some(Self { endpoint, variant })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    capture_data: CaptureData,
    event_metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaptureData {
    endpoint_input: Option<Payload>,
    endpoint_output: Option<Payload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    observed_content_type: Option<String>,
    data: Box<RawValue>,
    encoding: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    event_id: Option<String>,
    inference_time: Option<Timestamp>,
    /// `inferenceId`, `customAttributes` and whatever else there is.
    #[serde(flatten)]
    others: Map<String, Value>,
}

fn call(line: &[u8], layout: Option<&Layout>) -> Result<Call, String> {
    let event: Event = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let Event { capture_data, event_metadata: Metadata { event_id, inference_time, mut others } } =
        event;
    let input = capture_data.endpoint_input.ok_or("`endpointInput` is missing")?;
    if let Some(layout) = layout {
        others.insert("variant".to_owned(), layout.variant.clone().into());
    }
    Ok(Call {
        id: event_id,
        captured_at: inference_time,
        model: layout.map(|layout| layout.endpoint.clone()),
        client: None,
        request: request(input).map_err(|reason| format!("`endpointInput`: {reason}"))?,
        reply: reply(capture_data.endpoint_output)
            .map_err(|reason| format!("`endpointOutput`: {reason}"))?,
        unknown: others,
    })
}

fn request(input: Payload) -> Result<Request, String> {
    Ok(Request {
        method: "POST".to_owned(),
        path: "/invocations".to_owned(),
        body: input.body()?,
        content_type: input.observed_content_type,
        headers: BTreeMap::new(),
    })
}

/// The status is not in the file; calls that were answered with an error aren't either.
fn reply(output: Option<Payload>) -> Result<Reply, String> {
    let answer = match output {
        None => Err("`endpointOutput` is missing in the captured event".to_owned()),
        Some(output) => Ok(Answer {
            status: 200,
            body: output.body()?,
            content_type: output.observed_content_type,
            headers: BTreeMap::new(),
        }),
    };
    Ok(Reply { answer, latency_us: None })
}

impl Payload {
    fn body(&self) -> Result<Bytes, String> {
        let data = self.data.get();
        let text = match data.starts_with('"') {
            true => serde_json::from_str::<String>(data).map_err(|error| error.to_string())?,
            false if self.encoding == "JSON" => data.to_owned(),
            false => return Err("`data` is no text".to_owned()),
        };
        match self.encoding.as_str() {
            "CSV" | "JSON" => Ok(text.into()),
            "BASE64" => match STANDARD.decode(text) {
                Ok(body) => Ok(body.into()),
                Err(error) => Err(format!("`data` is not base64: {error}")),
            },
            other => Err(format!("`encoding` is `{other}`, not CSV, JSON or BASE64")),
        }
    }
}
