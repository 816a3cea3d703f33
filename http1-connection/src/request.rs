//! What is sent: bytes, made once.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

use crate::head::{is, tokens};

/// Bodies up to this length are sent in one piece with their head.
const SHORT_BODY_BYTES: usize = 16 << 10;

/// A request that is ready to be sent, to any number of peers.
#[derive(Debug, Clone)]
pub struct Request {
    pub(crate) method: Method,
    /// Whether it says that no other follows it.
    pub(crate) is_last: bool,
    head: Vec<u8>,
    /// Empty if it is behind the head already.
    body: Bytes,
}

impl Request {
    /// Writes a request down. The headers name the host; how long the body is, is added.
    pub fn new<'a>(
        method: Method,
        path: &PathAndQuery,
        headers: impl IntoIterator<Item = (&'a HeaderName, &'a HeaderValue)>,
        body: Bytes,
    ) -> Self {
        let (mut head, mut is_last) = (Vec::with_capacity(512), false);
        write_line(&mut head, &method, path);
        for (name, value) in headers {
            is_last |= name == CONNECTION && tokens(value.as_bytes()).any(is("close"));
            if ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                write_header(&mut head, name, value.as_bytes());
            }
        }
        // Where a body is expected, one says that there is none; else nobody speaks of it.
        if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            write_header(&mut head, &CONTENT_LENGTH, body.len().to_string().as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        if body.len() > SHORT_BODY_BYTES {
            return Self { method, is_last, head, body };
        }
        head.extend_from_slice(&body);
        Self { method, is_last, head, body: Bytes::new() }
    }

    /// What is left of it once so many bytes are sent: as much as can be sent in one piece.
    pub(crate) fn rest(&self, sent: usize) -> &[u8] {
        match sent.checked_sub(self.head.len()) {
            None => &self.head[sent..],
            Some(sent) => &self.body[sent..],
        }
    }
}

fn write_line(head: &mut Vec<u8>, method: &Method, path: &PathAndQuery) {
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(path.path().as_bytes());
    if let Some(query) = path.query() {
        head.push(b'?');
        head.extend_from_slice(query.as_bytes());
    }
    head.extend_from_slice(b" HTTP/1.1\r\n");
}

fn write_header(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, HOST};

    use super::*;

    fn written(method: Method, path: &'static str, body: &'static [u8]) -> String {
        let headers = [
            (HOST, HeaderValue::from_static("h:1")),
            (CONTENT_LENGTH, HeaderValue::from_static("77")),
            (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        ];
        let headers = headers.iter().map(|(name, value)| (name, value));
        let path = PathAndQuery::from_static(path);
        let request = Request::new(method, &path, headers, Bytes::from_static(body));
        let (mut whole, mut sent) = (Vec::new(), 0);
        while !request.rest(sent).is_empty() {
            whole.push(request.rest(sent)[0]);
            sent += 1;
        }
        String::from_utf8(whole).unwrap()
    }

    #[test]
    fn a_request_says_how_long_its_body_is_whatever_it_was_given() {
        let text = "POST /a?b=c HTTP/1.1\r\nhost: h:1\r\ncontent-type: text/plain\r\n\
            content-length: 4\r\n\r\nbody";
        assert_eq!(written(Method::POST, "/a?b=c", b"body"), text);
        assert!(written(Method::POST, "/", b"").contains("content-length: 0\r\n"));
    }

    #[test]
    fn a_request_that_has_no_body_by_its_nature_does_not_speak_of_it() {
        let text = "GET /?a HTTP/1.1\r\nhost: h:1\r\ncontent-type: text/plain\r\n\r\n";
        assert_eq!(written(Method::GET, "?a", b""), text);
        assert_eq!(written(Method::DELETE, "/?a", b""), text.replace("GET", "DELETE"));
    }

    #[test]
    fn a_long_body_follows_its_head() {
        static BODY: [u8; SHORT_BODY_BYTES + 1] = [b'x'; SHORT_BODY_BYTES + 1];
        let text = written(Method::PUT, "/", &BODY);
        assert_eq!(text.split_once("\r\n\r\n").unwrap().1.as_bytes(), BODY);
    }
}
