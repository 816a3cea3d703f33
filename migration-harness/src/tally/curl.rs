//! A request as a `curl` command that can be pasted into a shell.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::record::Request;

/// Longer bodies don't fit into an argument, which Linux limits to 128 KB.
const MAX_ARGUMENT_BYTES: usize = 32 << 10;

/// The command.
pub(crate) fn command(url: &str, request: &Request) -> String {
    let mut command = "curl -sS".to_owned();
    match request.method.as_str() {
        "HEAD" => command.push_str(" --head"),
        method => command.push_str(&format!(" -X {}", quoted(method))),
    }
    command.push_str(&format!(" {}", quoted(url)));
    // An empty one takes away the form's, which curl would send else.
    let content_type = request.content_type.as_deref().unwrap_or_default();
    if !content_type.is_empty() || !request.body.is_empty() {
        command.push_str(&format!(" -H {}", quoted(&format!("content-type: {content_type}"))));
    }
    for (name, value) in &request.headers {
        command.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    match std::str::from_utf8(&request.body) {
        _ if request.body.is_empty() => command,
        Ok(text) if text.len() <= MAX_ARGUMENT_BYTES && !text.contains('\0') => {
            format!("{command} --data-raw {}", quoted(text))
        }
        _ => {
            let body = STANDARD.encode(&request.body);
            format!("base64 -d <<'END' | {command} --data-binary @-\n{body}\nEND")
        }
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;

    fn request(method: &str, content_type: Option<&str>, body: &'static [u8]) -> Request {
        Request {
            method: method.to_owned(),
            path: "/".to_owned(),
            content_type: content_type.map(str::to_owned),
            headers: BTreeMap::from([("accept".to_owned(), "*/*".to_owned())]),
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn a_body_of_text_is_one_quoted_word() {
        let request = request("POST", Some("text/plain"), b"it's\n@x $(rm)");
        assert_eq!(
            command("http://h/p?a=1&b", &request),
            r"curl -sS -X 'POST' 'http://h/p?a=1&b' -H 'content-type: text/plain' -H 'accept: */*' --data-raw 'it'\''s
@x $(rm)'"
        );
    }

    #[test]
    fn bytes_that_no_argument_takes_come_through_a_pipe() {
        let text = command("http://h/", &request("POST", None, b"\0\xff"));
        assert!(
            text.starts_with(
                "base64 -d <<'END' | curl -sS -X 'POST' 'http://h/' -H 'content-type: '"
            )
        );
        assert!(text.ends_with(" --data-binary @-\nAP8=\nEND"), "{text}");
    }

    #[test]
    fn requests_without_a_body_send_none() {
        assert_eq!(
            command("http://h/", &request("GET", None, b"")),
            "curl -sS -X 'GET' 'http://h/' -H 'accept: */*'"
        );
        assert!(command("http://h/", &request("HEAD", None, b"")).starts_with("curl -sS --head"));
    }
}
