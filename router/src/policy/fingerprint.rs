//! Short names of what a result depends on, the same in every process and build.

use std::array;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The first 64 bits of a hash, written as 16 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// That of anything, by its JSON; whose maps must be in order.
    pub(crate) fn of(thing: &impl Serialize) -> Self {
        let text = serde_json::to_vec(thing).expect("texts and numbers are always JSON");
        let digest = Sha256::digest(text);
        Self(digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By hand, as each call of each decision has one.
        let digits: [u8; 16] = array::from_fn(|place| {
            let digit = self.0 >> (60 - 4 * place) & 15;
            b"0123456789abcdef"[digit as usize]
        });
        serializer.serialize_str(str::from_utf8(&digits).map_err(serde::ser::Error::custom)?)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_for_ever_and_read_as_it_is_written() {
        let fingerprint = Fingerprint::of(&("sagemaker", "spam", false));
        let written = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(written, r#""69af855342a7b233""#);
        assert_eq!(serde_json::from_str::<Fingerprint>(&written).unwrap(), fingerprint);
        assert_ne!(Fingerprint::of(&("sagemaker", "spam", true)), fingerprint);
    }
}
