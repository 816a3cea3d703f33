//! Names of models, endpoint configurations, endpoints and variants.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A name as SageMaker allows it: at most 63 letters, digits and inner hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ResourceName(String);

impl ResourceName {
    /// The pattern, as AWS words it in its messages.
    pub(crate) const PATTERN: &str = "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}";

    /// The name in `text`, or nothing if SageMaker would refuse it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let fits = (1..=63).contains(&text.len()) && text.as_bytes().iter().all(allowed);
        let inner = !text.starts_with('-') && !text.ends_with('-');
        (fits && inner).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ResourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_sagemakers_pattern() {
        for good in ["a", "A9", "spam-v3", "a--b", &"x".repeat(63)] {
            assert!(ResourceName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "-a", "a-", "a_b", "a.b", "ä", "a/b", "..", &"x".repeat(64)] {
            assert!(ResourceName::parse(bad).is_none(), "{bad}");
        }
    }
}
