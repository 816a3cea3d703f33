//! Whose a key is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The author of changes where no keys are asked for.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// A person or a program, as written under the changes it makes; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(description = "A person or a program, as written under the changes it makes.", value_type = String, min_length = 1, max_length = 100, pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$")]
pub(crate) struct Owner(Arc<str>);

impl Owner {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Owner {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() || text.len() > 100 || text.trim() != text {
            return Err("an owner's name has 1 to 100 bytes, and no space at its ends");
        }
        if text.chars().any(char::is_control) {
            return Err("an owner's name has no control characters");
        }
        if text.eq_ignore_ascii_case(ANONYMOUS) {
            return Err("`anonymous` is whoever has no key; choose another owner");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_people_and_programs() {
        for good in ["ann@example.com", "Client Services", "Zoë", "ci"] {
            assert!(Owner::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", " ann", "ann ", "a\nb", "Anonymous", &"x".repeat(101)] {
            assert!(Owner::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
