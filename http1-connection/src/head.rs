//! The head of an answer: its status, its headers, and what they say of the rest.

use std::mem::MaybeUninit;
use std::str::from_utf8;

use http::{Method, StatusCode};
use httparse::{Header, ParserConfig, Response, Status};

use crate::error::Error;

/// The longest head that is read.
pub(crate) const MOST_HEAD_BYTES: usize = 64 << 10;
/// The most headers that one has.
pub(crate) const MOST_HEADERS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub struct Head<'a> {
    /// What became of the request.
    pub status: StatusCode,
    headers: &'a [Header<'a>],
}

/// What a head says of what comes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) framing: Framing,
    /// Whether the connection can be used again after it.
    pub(crate) keeps_alive: bool,
}

/// How one knows where a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

/// Whether there may be a whole head in these bytes, of which so many were looked at before. A head that
/// comes in bits would else be read from its beginning with each.
pub(crate) fn may_be_whole(input: &[u8], seen: usize) -> bool {
    let ends = |at: usize| input[..at].ends_with(b"\n\n") || input[..at].ends_with(b"\n\r\n");
    seen == 0 || input.len() > MOST_HEAD_BYTES || (seen + 1..=input.len()).any(ends)
}

/// The first head in these bytes, where it is whole: what is made of it, and how long it is.
///
/// # Errors
/// When it is none, or can't be told apart from what follows.
pub(crate) fn parse<T>(
    input: &[u8],
    make: impl FnOnce(&Head<'_>, u8) -> Result<T, Error>,
) -> Result<Option<(T, usize)>, Error> {
    let mut headers = [MaybeUninit::uninit(); MOST_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        input,
        &mut headers,
    );
    match parsed {
        Ok(Status::Complete(length)) if length <= MOST_HEAD_BYTES => {
            let status = StatusCode::from_u16(response.code.unwrap_or_default());
            let status = status.map_err(|_| httparse::Error::Status)?;
            let head = Head { status, headers: response.headers };
            Ok(Some((make(&head, response.version.unwrap_or_default())?, length)))
        }
        Ok(Status::Partial) if input.len() <= MOST_HEAD_BYTES => Ok(None),
        Ok(_) => Err(Error::TooLarge),
        Err(error) => Err(error.into()),
    }
}

impl<'a> Head<'a> {
    /// The first header of this name, however it is written.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// All headers as they were sent, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// What comes behind it, as RFC 9112 has it in section 6.3.
    pub(crate) fn rest(&self, version: u8, asked: &Method) -> Result<Rest, Error> {
        let framing =
            if self.is_bodiless(asked) { Framing::Length(0) } else { self.framing(version)? };
        let is_open = match framing {
            Framing::UntilClosed => false,
            // Two lengths: whoever wrote this may mean another end than we do.
            Framing::Chunked => self.header("content-length").is_none(),
            Framing::Length(_) => true,
        };
        let keeps_alive = is_open && self.keeps_alive(version) && asked != Method::CONNECT;
        Ok(Rest { framing, keeps_alive })
    }

    fn is_bodiless(&self, asked: &Method) -> bool {
        let is_tunnel = asked == Method::CONNECT && self.status.is_success();
        let says_so = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&self.status);
        says_so || is_tunnel || asked == Method::HEAD
    }

    fn framing(&self, version: u8) -> Result<Framing, Error> {
        match self.all("transfer-encoding").last() {
            Some(_) if version == 0 => Err(Error::Framing("HTTP/1.0 has no transfer encodings")),
            Some(last) if tokens(last).last().is_some_and(is("chunked")) => Ok(Framing::Chunked),
            Some(_) => Ok(Framing::UntilClosed),
            None => Ok(self.length()?.map_or(Framing::UntilClosed, Framing::Length)),
        }
    }

    /// The one length that all headers about it agree on.
    fn length(&self) -> Result<Option<u64>, Error> {
        let mut length = None;
        for digits in self.all("content-length").flat_map(tokens) {
            let told = number(digits).ok_or(Error::Framing("its length is no number"))?;
            if *length.get_or_insert(told) != told {
                return Err(Error::Framing("it has two lengths"));
            }
        }
        Ok(length)
    }

    fn keeps_alive(&self, version: u8) -> bool {
        let has = |token| self.all("connection").flat_map(tokens).any(is(token));
        if version == 0 { has("keep-alive") && !has("close") } else { !has("close") }
    }
}

/// What stands between the commas of a header.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether a token is this one, however it is written.
pub(crate) fn is(token: &'static str) -> impl FnMut(&[u8]) -> bool {
    |other| other.eq_ignore_ascii_case(token.as_bytes())
}

/// Digits and nothing else, which `parse` alone does not ask for.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
