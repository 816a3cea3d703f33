//! What a difference between two answers is: a field, and how it differs.

use serde::Serialize;

/// How two answers differ in one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The target gave no answer.
    Error,
    /// The captured call has no answer to compare with.
    Unanswered,
    /// The HTTP statuses differ.
    Status,
    /// The media types differ.
    ContentType,
    /// Text that isn't JSON differs.
    Text,
    /// Two values of one type differ.
    Value,
    /// Two doubles are at most four representable ones apart.
    Ulp,
    /// The types differ; an integer and a double are of two types.
    Type,
    /// A member of the captured answer is not in the new one.
    Missing,
    /// A member of the new answer is not in the captured one.
    Extra,
    /// Two arrays, or bodies of lines, are not equally long.
    Length,
}

impl Kind {
    /// The word in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Unanswered => "unanswered",
            Self::Status => "status",
            Self::ContentType => "content_type",
            Self::Text => "text",
            Self::Value => "value",
            Self::Ulp => "ulp",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Length => "length",
        }
    }
}

/// One way in which two answers differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// The path of the field, without the indices of arrays and lines.
    pub(crate) field: String,
    /// How it differs.
    pub(crate) kind: Kind,
}

impl Difference {
    /// A difference of a whole answer.
    pub(crate) fn whole(field: &str, kind: Kind) -> Self {
        Self { field: field.to_owned(), kind }
    }
}
