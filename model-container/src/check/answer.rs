//! Reading an answer off the wire, byte by byte.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::client::Fault;

/// More headers than this are nobody's.
const MAX_HEADERS: usize = 100;
/// What is read of one answer at most; SageMaker's largest is 25 MB.
pub(crate) const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    /// Whether the server said that it closes the connection.
    pub(crate) closes: bool,
    pub(crate) body: Vec<u8>,
    /// From the first byte sent to the last byte received.
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The status and how the body begins.
    pub(crate) fn summary(&self) -> String {
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(120)]);
        if start.is_empty() {
            return self.status.to_string();
        }
        format!("{} {start:?}", self.status)
    }
}

/// Reads the next answer that is not an interim one.
pub(crate) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
) -> Result<Answer, Fault> {
    let started = Instant::now();
    loop {
        let Some((mut answer, length)) = head(unread)? else {
            more(stream, unread).await?;
            continue;
        };
        if answer.status < 200 {
            continue;
        }
        answer.body = match length {
            Length::Bytes(length) => sized(stream, unread, length).await?,
            Length::Chunked => chunks(stream, unread).await?,
            Length::UntilClosed => rest(stream, unread).await?,
        };
        answer.took = started.elapsed();
        return Ok(answer);
    }
}

/// How the end of a body is known.
enum Length {
    Bytes(usize),
    Chunked,
    UntilClosed,
}

/// Takes a head off the bytes, once it is there.
fn head(unread: &mut Vec<u8>) -> Result<Option<(Answer, Length)>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(unread).map_err(|error| {
        let start = String::from_utf8_lossy(&unread[..unread.len().min(40)]);
        Fault::NotHttp(format!("{error}: {start:?}"))
    })?;
    let httparse::Status::Complete(end) = parsed else { return Ok(None) };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    let status = response.code.unwrap_or_default();
    let connection = header("connection").unwrap_or_default();
    let is_old = response.version == Some(0);
    let length = if matches!(status, 100..=199 | 204 | 304) {
        Length::Bytes(0)
    } else if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        Length::Chunked
    } else if let Some(length) = header("content-length") {
        let wrong = |_| Fault::NotHttp(format!("content-length: {length}"));
        Length::Bytes(length.parse().map_err(wrong)?)
    } else {
        Length::UntilClosed
    };
    let answer = Answer {
        status,
        content_type: header("content-type").unwrap_or_default(),
        closes: connection.contains("close")
            || (is_old && !connection.contains("keep-alive"))
            || matches!(length, Length::UntilClosed),
        body: Vec::new(),
        took: Duration::ZERO,
    };
    unread.drain(..end);
    Ok(Some((answer, length)))
}

async fn sized(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
    length: usize,
) -> Result<Vec<u8>, Fault> {
    if length > MAX_ANSWER_BYTES {
        return Err(Fault::TooLarge);
    }
    while unread.len() < length {
        more(stream, unread).await?;
    }
    Ok(unread.drain(..length).collect())
}

async fn chunks(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let (start, length) = match httparse::parse_chunk_size(unread) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => {
                more(stream, unread).await?;
                continue;
            }
            Err(_) => return Err(Fault::NotHttp("a chunk without its size".to_owned())),
        };
        unread.drain(..start);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MAX_ANSWER_BYTES - body.len() {
            return Err(Fault::TooLarge);
        }
        body.extend(sized(stream, unread, length).await?);
        sized(stream, unread, 2).await?;
        if length == 0 {
            return Ok(body);
        }
    }
}

async fn rest(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    loop {
        match more(stream, unread).await {
            Ok(()) => {}
            Err(Fault::Closed) => return Ok(std::mem::take(unread)),
            Err(fault) => return Err(fault),
        }
    }
}

/// Reads what has come.
pub(crate) async fn more(
    stream: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
) -> Result<(), Fault> {
    if unread.len() > MAX_ANSWER_BYTES {
        return Err(Fault::TooLarge);
    }
    match stream.read_buf(unread).await {
        Ok(0) => Err(Fault::Closed),
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::Broke(error)),
    }
}
