//! What a model reads: the declared fields of one request, texts joined by line breaks.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Error;
use crate::package::Input;

/// The input of one request, ready for a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The texts of the present fields, joined by line breaks.
    pub text: String,
    /// The present text fields: the place in [`Input::text`], and the bytes in `text`.
    pub parts: Vec<(usize, Range<usize>)>,
    /// The numbers in the order of [`Input::numbers`]; an absent one is NaN.
    pub numbers: Vec<f64>,
}

/// The value of one field as a request gives it.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Field<'a> {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// A boolean, a list or an object, which no model reads.
    Other,
}

impl Document {
    /// Puts together the values of all declared fields, texts first, in their declared order.
    ///
    /// # Errors
    /// [`Error::Unscorable`] when a field is of the wrong kind, or all of them are absent.
    pub fn of_fields(input: &Input, fields: &[Field<'_>]) -> Result<Self, Error> {
        let (texts, numbers) = fields.split_at(input.text.len().min(fields.len()));
        let mut document = Self::default();
        for (index, field) in texts.iter().enumerate() {
            match field {
                Field::Absent => {}
                Field::Text(text) => document.push(index, text),
                _ => return Err(wrong_kind(&input.text[index], "text")),
            }
        }
        for (name, field) in input.numbers.iter().zip(numbers) {
            document.numbers.push(match field {
                Field::Absent => f64::NAN,
                Field::Number(number) => *number,
                _ => return Err(wrong_kind(name, "number")),
            });
        }
        if fields.iter().all(|field| *field == Field::Absent) {
            let declared = input.names().collect::<Vec<_>>().join("`, `");
            return Err(unscorable(format!("none of the fields `{declared}` is present")));
        }
        Ok(document)
    }

    /// Takes a whole text as the first declared field.
    ///
    /// # Errors
    /// [`Error::Unscorable`] when the model reads numbers only.
    pub fn of_text(input: &Input, text: &str) -> Result<Self, Error> {
        if input.text.is_empty() {
            let numbers = input.numbers.join("`, `");
            return Err(unscorable(format!(
                "this model reads the numbers `{numbers}`, not a text"
            )));
        }
        let mut document = Self { numbers: vec![f64::NAN; input.numbers.len()], ..Self::default() };
        document.push(0, text);
        Ok(document)
    }

    /// The text of one declared field, by its place in [`Input::text`]; empty where it is absent.
    pub fn part(&self, place: usize) -> &str {
        let part = self.parts.iter().find(|(index, _)| *index == place);
        part.map_or("", |(_, range)| &self.text[range.clone()])
    }

    /// The object of fields that this document was made from, the declared ones that are present.
    pub fn fields<'a>(&'a self, input: &'a Input) -> impl Serialize + 'a {
        Object { document: self, input }
    }

    fn push(&mut self, index: usize, text: &str) {
        if !self.parts.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push((index, start..self.text.len()));
    }
}

impl Input {
    /// The names of all declared fields, texts first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.text.iter().chain(&self.numbers).map(String::as_str)
    }

    /// Reads a map's value if its key is declared here, and tells whether it was.
    ///
    /// # Errors
    /// Those of the map.
    pub(crate) fn take<'de, A: MapAccess<'de>>(
        &self,
        key: &str,
        map: &mut A,
        fields: &mut [Field<'de>],
    ) -> Result<bool, A::Error> {
        let Some(index) = self.names().position(|name| name == key) else {
            return Ok(false);
        };
        fields[index] = map.next_value()?;
        Ok(true)
    }

    /// As many absent fields as are declared.
    pub(crate) fn absent<'a>(&self) -> Vec<Field<'a>> {
        vec![Field::Absent; self.text.len() + self.numbers.len()]
    }
}

struct Object<'a> {
    document: &'a Document,
    input: &'a Input,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, range) in &self.document.parts {
            map.serialize_entry(&self.input.text[*index], &self.document.text[range.clone()])?;
        }
        for (name, number) in self.input.numbers.iter().zip(&self.document.numbers) {
            if !number.is_nan() {
                map.serialize_entry(name, number)?;
            }
        }
        map.end()
    }
}

impl<'de> serde::Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Field::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

fn wrong_kind(name: &str, kind: &str) -> Error {
    unscorable(format!("field `{name}` must be a {kind}"))
}

fn unscorable(reason: String) -> Error {
    Error::Unscorable(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Input {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Input { text: names(&["title", "text"]), numbers: names(&["rating"]) }
    }

    fn document(fields: &[Field<'_>; 3]) -> Result<Document, String> {
        Document::of_fields(&input(), fields).map_err(|error| error.to_string())
    }

    fn text(text: &str) -> Field<'_> {
        Field::Text(Cow::Borrowed(text))
    }

    #[test]
    fn the_present_fields_are_joined_by_a_line_break_in_declared_order() {
        let both = document(&[text("a"), text("b"), Field::Number(4.0)]).unwrap();
        assert_eq!((both.text.as_str(), both.parts.len(), both.numbers[0]), ("a\nb", 2, 4.0));
        let second = document(&[Field::Absent, text("b"), Field::Absent]).unwrap();
        assert_eq!((second.text.as_str(), &second.parts), ("b", &vec![(1, 0..1)]));
        assert_eq!((second.part(0), second.part(1)), ("", "b"));
        assert!(second.numbers[0].is_nan());
    }

    #[test]
    fn an_empty_text_is_a_document() {
        let empty = document(&[text(""), Field::Absent, Field::Absent]).unwrap();
        assert_eq!((empty.text.as_str(), empty.parts.len()), ("", 1));
    }

    #[test]
    fn a_request_without_any_declared_field_is_refused_by_their_names() {
        let error = document(&[Field::Absent, Field::Absent, Field::Absent]).unwrap_err();
        assert_eq!(error, "none of the fields `title`, `text`, `rating` is present");
    }

    #[test]
    fn a_field_of_the_wrong_kind_is_refused_by_name() {
        let error = document(&[Field::Other, Field::Absent, Field::Absent]).unwrap_err();
        assert_eq!(error, "field `title` must be a text");
        let error = document(&[text("a"), Field::Absent, text("5")]).unwrap_err();
        assert_eq!(error, "field `rating` must be a number");
    }

    #[test]
    fn the_fields_of_a_document_are_those_it_was_made_from() {
        let document = document(&[Field::Absent, text("b"), Field::Number(0.5)]).unwrap();
        let object = serde_json::to_string(&document.fields(&input())).unwrap();
        assert_eq!(object, r#"{"text":"b","rating":0.5}"#);
    }
}
