//! The key of a router, from the environment and from nowhere else: flags are seen by everyone.

use std::fmt;

use anyhow::bail;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// The environment variable with the key.
const VARIABLE: &str = "GATEHOUSE_KEY";

/// The key that was found, if there is one. It prints without its text.
pub(crate) struct RouterKey(Option<String>);

impl RouterKey {
    /// The key of the environment.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        match std::env::var(VARIABLE) {
            Ok(key) => Self::new(&key),
            Err(std::env::VarError::NotPresent) => Ok(Self(None)),
            Err(_) => bail!("{VARIABLE} holds no key, but other bytes"),
        }
    }

    /// The key in a text, of which the ends don't count; none where it is blank.
    pub(crate) fn new(text: &str) -> anyhow::Result<Self> {
        let key = text.trim();
        if key.is_empty() {
            return Ok(Self(None));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("{VARIABLE} holds a space or another character that no key has");
        }
        Ok(Self(Some(format!("Bearer {key}"))))
    }

    /// The header that shows it, as text.
    pub(crate) fn header(&self) -> Option<(&'static str, &str)> {
        self.0.as_deref().map(|value| ("authorization", value))
    }

    /// The same, marked as what no log may show.
    pub(crate) fn sensitive_header(&self) -> Option<(HeaderName, HeaderValue)> {
        let mut value = HeaderValue::from_str(self.0.as_deref()?).ok()?;
        value.set_sensitive(true);
        Some((AUTHORIZATION, value))
    }

    /// What to do about an answer of this status, where a key is what it lacks.
    pub(crate) fn advice(&self, status: StatusCode) -> &'static str {
        match (status, &self.0) {
            (StatusCode::UNAUTHORIZED, None) => "; set GATEHOUSE_KEY to a key of this router",
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                "; GATEHOUSE_KEY holds a key that this router does not take"
            }
            (StatusCode::FORBIDDEN, Some(_)) => {
                "; set GATEHOUSE_KEY to a key with that scope (`gatehouse key create` makes one)"
            }
            _ => "",
        }
    }
}

impl fmt::Debug for RouterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouterKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_and_never_shown() {
        let key = RouterKey::new(" gh_live_secret\n").unwrap();
        assert_eq!(key.header(), Some(("authorization", "Bearer gh_live_secret")));
        let shown = format!("{key:?} {:?}", key.sensitive_header());
        assert!(!shown.contains("secret"), "{shown}");
        for broken in ["gh_live_sec\nret", "gh_live sec", "gh_live_séc"] {
            let fault = format!("{:?}", RouterKey::new(broken).unwrap_err());
            assert!(fault.contains("GATEHOUSE_KEY") && !fault.contains("live"), "{fault}");
        }
        assert!(RouterKey::new("").unwrap().header().is_none());
    }

    #[test]
    fn who_lacks_a_key_is_told_what_to_do() {
        let (none, some) = (RouterKey(None), RouterKey::new("x").unwrap());
        assert!(none.advice(StatusCode::UNAUTHORIZED).contains("set GATEHOUSE_KEY"));
        assert!(some.advice(StatusCode::UNAUTHORIZED).contains("does not take"));
        assert!(some.advice(StatusCode::FORBIDDEN).contains("key create"));
        assert_eq!(some.advice(StatusCode::NOT_FOUND), "");
    }
}
