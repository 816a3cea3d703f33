//! By which a package is told from all others.

use std::str::FromStr;

use serde::Deserialize;
use utoipa::ToSchema;

/// The SHA-256 of a package, written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^sha256:[0-9a-f]{64}$")]
pub(crate) struct Digest([u8; 32]);

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "must be `sha256:` and 64 hexadecimal digits";
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
        let mut digits = digits.ok_or(fault)?.chars().map(|digit| digit.to_digit(16));
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let pair = digits.next().flatten().zip(digits.next().flatten());
            let (high, low) = pair.ok_or(fault)?;
            *byte = u8::try_from(16 * high + low).map_err(|_| fault)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
