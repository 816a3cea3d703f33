//! Reads HTTP/1 messages as they went over the wire; bodies are put together and unpacked.

use std::collections::BTreeMap;

use crate::import::har::origin_form;
use crate::record::{Answer, Request, unpack};

type Headers = BTreeMap<String, String>;

/// The request that a message is.
///
/// # Errors
/// A sentence for the user, when it is none.
pub(super) fn request(message: &[u8]) -> Result<Request, String> {
    let (start, mut headers, rest) = head(message)?;
    let mut words = start.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(format!("`{start}` is no request"));
    };
    if words.next().is_some() || !version.starts_with("HTTP/") {
        return Err(format!("`{start}` is no request"));
    }
    let body = body(&mut headers, rest)?.into();
    let (method, path) = (method.to_owned(), path(target).to_owned());
    Ok(Request { method, path, content_type: headers.remove("content-type"), headers, body })
}

/// The answer that a message is, to a request of that method.
///
/// # Errors
/// A sentence for the user, when it is none.
pub(super) fn answer(message: &[u8], method: &str) -> Result<Answer, String> {
    let (start, mut headers, rest) = head(message)?;
    let mut words = start.split(' ');
    let version = words.next().unwrap_or_default();
    let status: Option<u16> = words.next().and_then(|status| status.parse().ok());
    let status = status.filter(|status| (100..1000).contains(status));
    let Some(status) = status.filter(|_| version.starts_with("HTTP/")) else {
        return Err(format!("`{start}` is no response"));
    };
    if status < 200 && rest.starts_with(b"HTTP/") {
        return answer(rest, method);
    }
    let has_no_body = method == "HEAD" || matches!(status, 204 | 304);
    let body = match has_no_body && rest.is_empty() {
        true => Vec::new(),
        false => body(&mut headers, rest)?,
    };
    let content_type = headers.remove("content-type");
    Ok(Answer { status, content_type, headers, body: body.into() })
}

/// Whether a message announces a longer body than it has.
pub(super) fn wants_more(message: &[u8]) -> bool {
    let Ok((_, headers, rest)) = head(message) else { return false };
    length(&headers).is_ok_and(|length| length.is_some_and(|length| length > rest.len()))
}

/// Path and query of a target, which for a proxy begins with scheme and host.
fn path(target: &str) -> &str {
    if target.starts_with('/') { target } else { origin_form(target).1 }
}

/// The first line, the headers, and what follows them.
fn head(message: &[u8]) -> Result<(String, Headers, &[u8]), String> {
    let mut lines = message.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (mut headers, mut length) = (Headers::new(), first.len());
    for line in lines {
        length += line.len();
        let text = latin1(line.trim_ascii_end());
        if text.is_empty() {
            return Ok((latin1(first.trim_ascii_end()), headers, &message[length..]));
        }
        let Some((name, value)) = text.split_once(':') else {
            return Err(format!("`{}` is no header", text.escape_debug()));
        };
        let entry = headers.entry(name.trim().to_ascii_lowercase());
        let joined = |values: &mut String| *values = format!("{values}, {}", value.trim());
        entry.and_modify(joined).or_insert_with(|| value.trim().to_owned());
    }
    Err("the message ends within its headers".to_owned())
}

/// Headers that are not UTF-8 are Latin-1, as HTTP once had it.
fn latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn length(headers: &Headers) -> Result<Option<usize>, String> {
    let Some(length) = headers.get("content-length") else { return Ok(None) };
    length.parse().map(Some).map_err(|_| format!("`Content-Length` is `{length}`"))
}

/// The body, put together and unpacked; headers that are then no longer true are removed.
fn body(headers: &mut Headers, rest: &[u8]) -> Result<Vec<u8>, String> {
    let codings = headers.get("transfer-encoding").map(|codings| codings.to_ascii_lowercase());
    let body = match codings.as_deref() {
        Some("chunked") => {
            headers.remove("transfer-encoding");
            unchunk(rest)?
        }
        Some("identity") | None => match length(headers)? {
            Some(length) if length != rest.len() => {
                return Err(format!("the body has {} bytes, announced were {length}", rest.len()));
            }
            _ => rest.to_vec(),
        },
        Some(other) => return Err(format!("`Transfer-Encoding: {other}` is not known")),
    };
    headers.remove("content-length");
    unpack(headers, body)
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let cut_off = || "the chunked body is cut off".to_owned();
    let mut body = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut_off)?;
        let size = latin1(&rest[..end]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            return Err(format!("`{}` is no size of a chunk", size.escape_debug()));
        };
        rest = &rest[end + 1..];
        if size == 0 {
            return Ok(body);
        }
        let (chunk, behind) = rest.split_at_checked(size).ok_or_else(cut_off)?;
        body.extend_from_slice(chunk);
        rest = behind.strip_prefix(b"\r\n").or(behind.strip_prefix(b"\n")).ok_or_else(cut_off)?;
    }
}
