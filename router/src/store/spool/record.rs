//! Records as they are in a file: their length, a checksum, an id and a body.
//!
//! What a process was writing when it died is not whole, and its checksum tells: it ends the file.

use std::io::{self, ErrorKind, Read};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Record;

const LENGTH: usize = size_of::<u32>();
const CHECKSUM: usize = 8;
const ID: usize = 16;
/// What a record takes besides its body.
pub(super) const FRAME: usize = LENGTH + CHECKSUM + ID;

/// The bytes of these records.
pub(super) fn encode(records: &[Record]) -> io::Result<Vec<u8>> {
    let size = records.iter().map(|record| FRAME + record.body.len()).sum();
    let mut bytes = Vec::with_capacity(size);
    for Record { id, body } in records {
        let length = u32::try_from(body.len())
            .map_err(|_| io::Error::new(ErrorKind::FileTooLarge, "a record of over 4 GiB"))?;
        let length = length.to_le_bytes();
        bytes.extend(length);
        bytes.extend(checksum(length, id.as_bytes(), body));
        bytes.extend(id.as_bytes());
        bytes.extend(body);
    }
    Ok(bytes)
}

/// The next record; none at the end, and none where what follows is not a whole one.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Record>> {
    let mut frame = [0; FRAME];
    match from.read_exact(&mut frame) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let (length, rest) = frame.split_first_chunk().expect("a frame begins with its length");
    let (expected, id) = rest.split_first_chunk().expect("a checksum follows");
    let id = <[u8; ID]>::try_from(id).expect("an id is the rest");
    // No memory is taken on the word of a length that may be damaged.
    let mut body = Vec::new();
    from.take(u32::from_le_bytes(*length).into()).read_to_end(&mut body)?;
    let whole = checksum(*length, &id, &body) == *expected;
    Ok(whole.then(|| Record { id: Uuid::from_bytes(id), body }))
}

fn checksum(length: [u8; LENGTH], id: &[u8; ID], body: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update(length).chain_update(id).chain_update(body).finalize();
    std::array::from_fn(|place| digest[place])
}
