//! How strings may differ.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::json::Value;

/// What doesn't matter in strings, all of it together.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    /// Composed or decomposed characters.
    pub(crate) any_composition: bool,
    /// Upper or lower case.
    pub(crate) any_case: bool,
    /// How much white space, and at the ends whether any.
    pub(crate) any_space: bool,
}

impl Strings {
    /// Whether it has anything to say.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any_composition && !self.any_case && !self.any_space
    }

    /// Whether these two may stand for each other.
    pub(super) fn permit(&self, old: &Value<'_>, new: &Value<'_>) -> bool {
        match (old, new) {
            (Value::Text(old), Value::Text(new)) if !self.is_empty() => {
                self.reduce(old.read()) == self.reduce(new.read())
            }
            _ => false,
        }
    }

    fn reduce<'t>(&self, text: Cow<'t, str>) -> Cow<'t, str> {
        let mut text = text;
        if self.any_case {
            text = text.to_lowercase().into();
        }
        if self.any_composition {
            text = text.nfc().collect::<String>().into();
        }
        if self.any_space {
            text = text.split_whitespace().collect::<Vec<_>>().join(" ").into();
        }
        text
    }
}
