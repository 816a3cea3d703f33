//! Tokens: what stands for a secret, the same for the same, and tells nothing of it without the key.

use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The fewest bytes that a key may have.
const MIN_KEY_BYTES: usize = 16;
/// How much of the HMAC is shown: enough that two of a billion secrets hardly share a token.
const TOKEN_BYTES: usize = 10;

/// What a token begins with.
const MARK: &str = "tok_";
/// How long it is.
const LENGTH: usize = MARK.len() + 2 * TOKEN_BYTES;

/// Whether a range of a text is in a token: what was redacted before stays, so that it is still the
/// same for the same.
pub(super) fn holds(text: &[u8], range: Range<usize>) -> bool {
    let is_token = |start: usize| {
        let token = text.get(start..start + LENGTH).and_then(|it| it.strip_prefix(MARK.as_bytes()));
        token.is_some_and(|it| it.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    };
    let first = (range.start + 1).saturating_sub(LENGTH);
    (first..=range.start).any(|start| range.end <= start + LENGTH && is_token(start))
}

/// Makes tokens. It is never shown.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// The key that hex digits stand for.
    ///
    /// # Errors
    /// A sentence for the user, which quotes nothing of it.
    pub(super) fn parse(hex: Option<&str>) -> Result<Self, String> {
        let hex = hex.map(str::trim).unwrap_or_default().as_bytes();
        let digits = |pair: &[u8]| match pair {
            [high, low] => {
                let digit =
                    |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
                Some(digit(*high)? << 4 | digit(*low)?)
            }
            _ => None,
        };
        let bytes: Option<Vec<u8>> = hex.chunks(2).map(digits).collect();
        let bytes = bytes.filter(|bytes| bytes.len() >= MIN_KEY_BYTES).ok_or_else(|| {
            let name = crate::capture::KEY_VARIABLE;
            format!(
                "tokens need the environment variable {name}: hex digits of at least \
                 {MIN_KEY_BYTES} bytes, such as `openssl rand -hex 32` prints"
            )
        })?;
        Ok(Self(Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length")))
    }

    /// The token of a secret; none of its characters means anything in JSON or a URL.
    pub(super) fn token(&self, secret: &[u8]) -> String {
        let code = self.0.clone().chain_update(secret).finalize().into_bytes();
        let digits = code.iter().take(TOKEN_BYTES).map(|byte| format!("{byte:02x}"));
        format!("{MARK}{}", digits.collect::<String>())
    }
}
