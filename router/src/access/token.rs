//! The text of a key: shown once when it is made, and known by its hash from then on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

const PREFIX: &str = "gh_live_";
const ID_LENGTH: usize = 12;
/// 43 of 62 characters hold 256 bits.
const SECRET_LENGTH: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A whole key, as its owner sends it. It prints without its secret.
pub(crate) struct Token {
    id: KeyId,
    secret: String,
}

/// The public part of a key, by which it is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9]{12}$")]
pub(crate) struct KeyId(Arc<str>);

/// The hash of a key's secret, printed as it is stored. The secret is random and long, so a plain hash can't be searched.
#[derive(Clone)]
pub(crate) struct Digest([u8; 32]);

impl Token {
    /// A new key.
    pub(crate) fn generate() -> Self {
        Self { id: KeyId(random(ID_LENGTH).into()), secret: random(SECRET_LENGTH) }
    }

    /// Its public part.
    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is kept of its secret.
    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(&self.secret).into())
    }

    /// The whole text, for the one to whom it is given.
    pub(crate) fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

/// Characters of which each is as likely as the others.
fn random(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        // Four times the alphabet; what is above would make its beginning likelier.
        let even = bytes.into_iter().filter(|byte| *byte < 248);
        let chosen = even.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        text.extend(chosen.take(length - text.len()));
    }
    text
}

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let (id, secret) = parts.ok_or("not of the form gh_live_…")?;
        if secret.len() != SECRET_LENGTH || !is_base62(secret) {
            return Err("cut off, or with characters that no key has");
        }
        let id = id.parse().map_err(|_| "with an id that no key has")?;
        Ok(Self { id, secret: secret.to_owned() })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id)
    }
}

impl KeyId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == ID_LENGTH && is_base62(text) {
            return Ok(Self(text.into()));
        }
        Err("a key's id has 12 letters and digits".to_owned())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Digest {
    /// Compares without telling by its time how much is equal.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a hash has 64 hexadecimal digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * index..2 * index + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made() {
        let token = Token::generate();
        let text = token.reveal();
        assert_eq!(text.len(), "gh_live_".len() + 12 + 1 + 43);
        let read: Token = text.parse().unwrap();
        assert_eq!(read.id(), token.id());
        let stored: Digest = token.digest().to_string().parse().unwrap();
        assert!(read.digest().matches(&stored));
        assert!(!Token::generate().digest().matches(&token.digest()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let text = Token::generate().reveal();
        for bad in [
            "",
            "gh_live_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}x"),
            &text.replacen("gh_live_", "gh_test_", 1),
            &text.replacen("gh_live_", "gh_live_é", 1),
            &format!("{}-", &text[..text.len() - 1]),
        ] {
            assert!(bad.parse::<Token>().is_err(), "{bad}");
        }
    }

    #[test]
    fn all_characters_come_up_and_no_two_keys_are_alike() {
        let texts: HashSet<String> = (0..200).map(|_| random(SECRET_LENGTH)).collect();
        assert_eq!(texts.len(), 200);
        let seen: HashSet<u8> = texts.iter().flat_map(|text| text.bytes()).collect();
        assert_eq!(seen.len(), 62);
    }

    #[test]
    fn a_key_prints_without_its_secret() {
        let token = Token::generate();
        let printed = format!("{token:?} {:?}", token.digest());
        assert!(!printed.contains(&token.secret), "{printed}");
    }
}
