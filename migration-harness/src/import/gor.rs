//! GoReplay's `.gor`: requests and responses as they went over the wire, to be paired by their ids.

mod payload;
mod pairing;
mod http;

use std::io::BufRead;

use super::call::Take;
use crate::error::Error;
use pairing::Pairing;
use payload::{Fault, Payloads};

pub(super) use payload::is_header;

/// Reads a file. Calls come in the order of their requests; one that has no response among the
/// next thousands of payloads comes without an answer.
pub(super) fn read(reader: &mut dyn BufRead, take: &mut Take<'_>) -> Result<(), Error> {
    let mut pairing = Pairing::default();
    for payload in Payloads::new(reader) {
        match payload {
            Ok(payload) => pairing.add(payload, take)?,
            Err(Fault { line, found }) => take(line, found)?,
        }
    }
    pairing.finish(take)
}
