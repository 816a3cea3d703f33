//! Bodies that were compressed for the way, as what they hold.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::Answer;
use super::line::MAX_BYTES;

/// The header that says how a body was compressed.
const HEADER: &str = "content-encoding";

impl Answer {
    /// As what it holds; as it is where its coding is unknown, or not what it says.
    pub(crate) fn unpacked(&self) -> Cow<'_, Self> {
        self.unpacked_within(MAX_BYTES)
    }

    /// The same; as it is, too, where it holds more than so many bytes.
    pub(crate) fn unpacked_within(&self, most: usize) -> Cow<'_, Self> {
        let Some(coding) = self.header(HEADER) else { return Cow::Borrowed(self) };
        let mut headers = self.headers.clone();
        headers.retain(|name, _| !name.eq_ignore_ascii_case(HEADER));
        headers.insert(HEADER.to_owned(), coding.to_owned());
        match unpack_within(most, &mut headers, self.body.to_vec()) {
            Ok(body) => Cow::Owned(Self { headers, body: body.into(), ..self.clone() }),
            Err(_) => Cow::Borrowed(self),
        }
    }
}

/// Undoes gzip and deflate; another coding is left, and its header with it.
///
/// # Errors
/// A sentence for the user, when the body is not what the header says.
pub(crate) fn unpack(
    headers: &mut BTreeMap<String, String>,
    body: Vec<u8>,
) -> Result<Vec<u8>, String> {
    unpack_within(MAX_BYTES, headers, body)
}

fn unpack_within(
    most: usize,
    headers: &mut BTreeMap<String, String>,
    mut body: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let Some(codings) = headers.remove(HEADER) else { return Ok(body) };
    let mut codings: Vec<_> = codings.split(',').map(|it| it.trim().to_ascii_lowercase()).collect();
    while let Some(coding) = codings.last() {
        let unpacked = match coding.as_str() {
            "identity" | "" => Ok(body),
            _ if body.is_empty() => Ok(body),
            "gzip" | "x-gzip" => read_all(most, MultiGzDecoder::new(&body[..])),
            "deflate" => read_all(most, ZlibDecoder::new(&body[..])),
            _ => {
                headers.insert(HEADER.to_owned(), codings.join(", "));
                return Ok(body);
            }
        };
        body = unpacked.map_err(|reason| format!("the body is no {coding}: {reason}"))?;
        codings.pop();
    }
    Ok(body)
}

fn read_all(most: usize, packed: impl Read) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    match packed.take(most as u64 + 1).read_to_end(&mut body) {
        Ok(length) if length > most => Err(format!("it unpacks to more than {most} bytes")),
        Ok(_) => Ok(body),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn answer(coding: &str, body: &[u8]) -> Answer {
        let headers = [("Content-Encoding".to_owned(), coding.to_owned())].into();
        Answer { status: 200, content_type: None, headers, body: body.to_vec().into() }
    }

    #[test]
    fn a_compressed_answer_is_what_it_holds_and_any_other_is_as_it_is() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(b"{}").unwrap();
        let packed = answer("gzip", &packed.finish().unwrap());
        assert_eq!((&packed.unpacked().body[..], packed.unpacked().headers.len()), (&b"{}"[..], 0));
        assert_eq!(answer("br", b"x").unpacked().headers["content-encoding"], "br");
        assert_eq!(*answer("gzip", b"x").unpacked(), answer("gzip", b"x"));
    }
}
