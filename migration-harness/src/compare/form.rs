//! How bodies are to be understood.

use crate::record::Answer;

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON value.
    Json,
    /// JSON values, one a line.
    Lines,
    /// Rows of cells.
    Csv,
    /// Anything else.
    Text,
}

impl Form {
    /// The form of an answer's body.
    pub(crate) fn of(answer: &Answer) -> Self {
        match media_type(answer) {
            Some(media_type) => Self::of_media_type(&media_type.to_ascii_lowercase()),
            None if matches!(answer.body.trim_ascii_start().first(), Some(b'{' | b'[')) => {
                Self::Json
            }
            None => Self::Text,
        }
    }

    /// The form that two answers are compared in: the captured one's, unless it doesn't say.
    pub(super) fn of_answers(old: &Answer, new: &Answer) -> Self {
        if old.content_type.is_none() && new.content_type.is_some() {
            return Self::of(new);
        }
        Self::of(old)
    }

    /// The form of a media type in lower case, without parameters.
    pub(crate) fn of_media_type(media_type: &str) -> Self {
        match media_type {
            "application/json" => Self::Json,
            "application/jsonlines"
            | "application/jsonl"
            | "application/x-ndjson"
            | "application/x-jsonlines"
            | "application/ndjson" => Self::Lines,
            "text/csv" | "application/csv" => Self::Csv,
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// The media type without its parameters, as it is written.
pub(super) fn media_type(answer: &Answer) -> Option<&str> {
    Some(answer.content_type.as_deref()?.split(';').next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_have_their_forms() {
        assert_eq!(Form::of_media_type("application/problem+json"), Form::Json);
        assert_eq!(Form::of_media_type("application/x-ndjson"), Form::Lines);
        assert_eq!(Form::of_media_type("text/csv"), Form::Csv);
        assert_eq!(Form::of_media_type("text/event-stream"), Form::Text);
    }
}
