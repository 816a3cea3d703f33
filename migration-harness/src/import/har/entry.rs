//! An entry of an HTTP archive as a call.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::import::call::Call;
use crate::record::{Answer, Reply, Request};

/// What a form's names and values are written with.
const FORM: AsciiSet = NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: Timestamp,
    time: Option<f64>,
    request: Sent,
    response: Option<Received>,
    timings: Option<Timings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    post_data: Option<PostData>,
    body_size: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    mime_type: Option<String>,
    text: Option<String>,
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
}

#[derive(Deserialize)]
struct Received {
    #[serde(default)]
    status: i64,
    #[serde(default)]
    headers: Vec<Pair>,
    content: Option<Content>,
    /// Why there was no response, as Chromium tells it.
    #[serde(rename = "_error")]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    size: Option<i64>,
    mime_type: Option<String>,
    text: Option<String>,
    encoding: Option<String>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: Option<String>,
}

/// Milliseconds; -1 where one doesn't apply.
#[derive(Deserialize)]
struct Timings {
    send: Option<f64>,
    wait: Option<f64>,
    receive: Option<f64>,
}

/// The call that an entry tells of.
///
/// # Errors
/// A sentence for the user, when it tells of none.
pub(super) fn call(json: &str) -> Result<Call, String> {
    let entry: Entry = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let latency_us = latency_us(&entry);
    let mut unknown = Map::new();
    let (origin, path) = origin_form(&entry.request.url);
    if let Some(origin) = origin {
        unknown.insert("origin".to_owned(), Value::from(origin));
    }
    let path = path.to_owned();
    let request = entry.request.request(path)?;
    let answer =
        entry.response.map_or_else(|| Err("no `response`".to_owned()), Received::answer)?;
    Ok(Call {
        id: None,
        captured_at: Some(entry.started_date_time),
        model: None,
        client: None,
        request,
        reply: Reply { answer, latency_us },
        unknown,
    })
}

/// Scheme and host of a URL, and what is asked of them: path and query without a fragment.
pub(crate) fn origin_form(url: &str) -> (Option<&str>, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let Some(host) = url.find("://").map(|scheme| scheme + 3) else { return (None, url) };
    let Some(path) = url[host..].find(['/', '?']) else { return (Some(url), "/") };
    (Some(&url[..host + path]), &url[host + path..])
}

/// From the first byte sent to the last one received: without the time that a browser let the
/// request wait, and that it took to connect.
fn latency_us(entry: &Entry) -> Option<u64> {
    let measured = entry.timings.as_ref().and_then(|timings| {
        let parts = [timings.send?, timings.wait?, timings.receive?];
        Some(parts.into_iter().filter(|part| *part > 0.0).sum())
    });
    let milliseconds = measured.or(entry.time).filter(|time| *time > 0.0 && *time < 1e12)?;
    Some((milliseconds * 1_000.0).round() as u64)
}

impl Sent {
    fn request(self, path: String) -> Result<Request, String> {
        let Self { method, headers, post_data, body_size, .. } = self;
        let mut headers = collect(headers);
        let mut content_type = headers.remove("content-type");
        let body = match post_data {
            Some(data) => {
                content_type = content_type.or(data.mime_type.clone());
                data.body()?
            }
            None if body_size.is_some_and(|size| size > 0) => {
                return Err("the request's body is not in the file: no `postData`".to_owned());
            }
            None => Bytes::new(),
        };
        let path = if path.starts_with('?') { format!("/{path}") } else { path };
        Ok(Request { method, path, content_type, headers, body })
    }
}

impl PostData {
    fn body(self) -> Result<Bytes, String> {
        let is_form = self.mime_type.as_deref().unwrap_or_default().contains("urlencoded");
        match self.text {
            Some(text) if !text.is_empty() || self.params.is_empty() => {
                decode(text, self.encoding.as_deref())
            }
            _ if self.params.is_empty() => Ok(Bytes::new()),
            _ if is_form => Ok(form(&self.params).into()),
            _ => Err("the request's body is not in the file: `postData` has no `text`".to_owned()),
        }
    }
}

fn form(params: &[Pair]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, &FORM).to_string().replace("%20", "+");
    let pair = |pair: &Pair| {
        format!("{}={}", encode(&pair.name), encode(pair.value.as_deref().unwrap_or_default()))
    };
    params.iter().map(pair).collect::<Vec<_>>().join("&")
}

impl Received {
    /// The answer, or why the call had none.
    fn answer(self) -> Result<Result<Answer, String>, String> {
        if self.status == 0 {
            let reason = self.error.filter(|reason| !reason.is_empty());
            return Ok(Err(reason.unwrap_or_else(|| "blocked: status 0".to_owned())));
        }
        let status = u16::try_from(self.status).ok().filter(|it| (100..1000).contains(it));
        let status = status.ok_or_else(|| format!("`status` is {}", self.status))?;
        let mut headers = collect(self.headers);
        let mut content_type = headers.remove("content-type");
        // What the archive holds is unpacked already.
        headers.remove("content-encoding");
        let Some(content) = self.content else {
            return Ok(Err("the response's body is not in the file: no `content`".to_owned()));
        };
        content_type = content_type.or(content.mime_type.filter(|it| !it.is_empty()));
        let body = match (content.text, content.size) {
            (Some(text), _) => decode(text, content.encoding.as_deref())?,
            (None, Some(size)) if size > 0 => {
                return Ok(Err(format!("the response's body, {size} bytes, is not in the file")));
            }
            (None, _) => Bytes::new(),
        };
        Ok(Ok(Answer { status, content_type, headers, body }))
    }
}

fn decode(text: String, encoding: Option<&str>) -> Result<Bytes, String> {
    match encoding {
        Some("base64") => match STANDARD.decode(text) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(format!("a body is not base64: {error}")),
        },
        None | Some("") => Ok(text.into()),
        Some(other) => Err(format!("a body's `encoding` is `{other}`, not base64")),
    }
}

/// By name in lower case; HTTP/2's pseudo-headers are left out, repeated ones joined.
fn collect(pairs: Vec<Pair>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::<String, String>::new();
    for Pair { name, value } in pairs.into_iter().filter(|pair| !pair.name.starts_with(':')) {
        let value = value.unwrap_or_default();
        let joined = |values: &mut String| *values = format!("{values}, {value}");
        headers.entry(name.to_ascii_lowercase()).and_modify(joined).or_insert(value.clone());
    }
    headers
}
