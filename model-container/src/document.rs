//! What a model reads: the declared text fields of one request, joined by line breaks.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::Error;
use crate::package::Input;

/// The text of one request, and which part of it came from which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    /// The texts of the fields, joined by line breaks.
    pub text: String,
    /// The fields in their order, each with its bytes in `text`.
    pub parts: Vec<(&'a str, Range<usize>)>,
}

impl<'a> Document<'a> {
    /// Takes the declared fields out of a request's object; a `null` counts as absent.
    ///
    /// # Errors
    /// [`Error::Unscorable`] when a declared field is no text, or all of them are absent.
    pub fn of_fields(input: &'a Input, fields: &Map<String, Value>) -> Result<Self, Error> {
        let mut document = Self { text: String::new(), parts: Vec::with_capacity(1) };
        for name in &input.text {
            match fields.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => document.push(name, text),
                Some(_) => return Err(unscorable(format!("field `{name}` must be a text"))),
            }
        }
        if document.parts.is_empty() {
            let declared = input.text.join("`, `");
            return Err(unscorable(format!("none of the fields `{declared}` is present")));
        }
        Ok(document)
    }

    /// Takes a whole text as the first declared field.
    pub fn of_text(input: &'a Input, text: &str) -> Self {
        let mut document = Self { text: String::new(), parts: Vec::with_capacity(1) };
        document.push(&input.text[0], text);
        document
    }

    fn push(&mut self, name: &'a str, text: &str) {
        if !self.parts.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push((name, start..self.text.len()));
    }
}

fn unscorable(reason: String) -> Error {
    Error::Unscorable(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(fields: &Value) -> Result<(String, usize), String> {
        let input = Input { text: vec!["title".to_owned(), "text".to_owned()] };
        let fields = fields.as_object().unwrap();
        Document::of_fields(&input, fields)
            .map(|document| (document.text, document.parts.len()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_present_fields_are_joined_by_a_line_break_in_declared_order() {
        assert_eq!(document(&json!({"text": "b", "title": "a"})), Ok(("a\nb".to_owned(), 2)));
        assert_eq!(document(&json!({"text": "b", "other": 1})), Ok(("b".to_owned(), 1)));
    }

    #[test]
    fn an_empty_text_is_a_document() {
        assert_eq!(document(&json!({"title": ""})), Ok((String::new(), 1)));
    }

    #[test]
    fn a_request_without_any_declared_field_is_refused_by_their_names() {
        let error = document(&json!({"title": null, "body": "x"})).unwrap_err();
        assert_eq!(error, "none of the fields `title`, `text` is present");
    }

    #[test]
    fn a_field_that_is_no_text_is_refused_by_name() {
        assert_eq!(document(&json!({"text": 3})).unwrap_err(), "field `text` must be a text");
    }
}
