//! What a difference between two answers is: a field, how it differs, and what permits that.

use serde::{Deserialize, Serialize};

/// How two answers differ in one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The target gave no answer.
    Error,
    /// The captured call has no answer to compare with.
    Unanswered,
    /// The answer came later than a rule allows.
    Late,
    /// The HTTP statuses differ.
    Status,
    /// The media types differ.
    ContentType,
    /// A header that a rule compares differs.
    Header,
    /// The new answer is the beginning of the old one.
    Truncated,
    /// Text that is neither JSON nor CSV differs.
    Text,
    /// The same number is written differently; a difference of text only.
    NumberFormat,
    /// The same members come in another order; a difference of text only.
    KeyOrder,
    /// White space between tokens differs; a difference of text only.
    Whitespace,
    /// The same characters are escaped differently; a difference of text only.
    Escape,
    /// Two values of one type differ.
    Value,
    /// Two labels differ: the strings that models decide for.
    Label,
    /// Two strings are the same after Unicode normalization (NFC).
    Unicode,
    /// Two strings are the same but for upper and lower case.
    Case,
    /// Two doubles are at most four representable ones apart.
    Ulp,
    /// The new number is the old one rounded to single precision.
    Float32,
    /// The new number is the old one rounded to fewer decimals.
    Rounded,
    /// The values of two fields are exchanged.
    Swapped,
    /// The types differ; an integer and a double are of two types.
    Type,
    /// One of the two is null.
    Null,
    /// A member of the captured answer is not in the new one.
    Missing,
    /// A member of the new answer is not in the captured one.
    Extra,
    /// Two arrays, or bodies of lines, are not equally long.
    Length,
    /// Two arrays hold the same elements in another order.
    Order,
}

impl Kind {
    /// The word in reports: the one that serde writes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Unanswered => "unanswered",
            Self::Late => "late",
            Self::Status => "status",
            Self::ContentType => "content_type",
            Self::Header => "header",
            Self::Truncated => "truncated",
            Self::Text => "text",
            Self::NumberFormat => "number_format",
            Self::KeyOrder => "key_order",
            Self::Whitespace => "whitespace",
            Self::Escape => "escape",
            Self::Value => "value",
            Self::Label => "label",
            Self::Unicode => "unicode",
            Self::Case => "case",
            Self::Ulp => "ulp",
            Self::Float32 => "float32",
            Self::Rounded => "rounded",
            Self::Swapped => "swapped",
            Self::Type => "type",
            Self::Null => "null",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Length => "length",
            Self::Order => "order",
        }
    }

    /// Whether the values are equal and only their text differs.
    pub(crate) fn is_of_text_only(self) -> bool {
        matches!(self, Self::NumberFormat | Self::KeyOrder | Self::Whitespace | Self::Escape)
    }
}

/// One way in which two answers differ.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    /// The path of the field, without the indices of arrays and lines.
    pub(crate) field: String,
    /// How it differs.
    pub(crate) kind: Kind,
    /// What permits it; a mismatch is a difference that nothing permits.
    pub(crate) permit: Option<Permit>,
    /// How far two numbers are apart (the largest distance, where several elements of a field
    /// differ in the same way); none where it isn't about numbers.
    pub(crate) distance: Option<f64>,
}

/// What permits a difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Permit {
    /// The values are equal; differences of text only are reported and permitted.
    TextOnly,
    /// The rule of this name.
    Rule(String),
    /// The legacy system itself answers this call differently from time to time, in this field.
    Noise,
}

impl Difference {
    /// A difference that nothing permits.
    #[cfg(test)]
    pub(crate) fn new(field: &str, kind: Kind) -> Self {
        Self { field: field.to_owned(), kind, permit: None, distance: None }
    }

    /// Whether it makes its record a mismatch.
    pub(crate) fn is_mismatch(&self) -> bool {
        self.permit.is_none()
    }
}
