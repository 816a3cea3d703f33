//! A text that may hold `{model}` and `{client}`.

use crate::record::Record;

/// A checked text.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    is_fixed: bool,
}

impl Pattern {
    /// Takes a text without other braces.
    ///
    /// # Errors
    /// A sentence for the user.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.replace("{model}", "").replace("{client}", "");
        if rest.contains(['{', '}']) {
            return Err(format!(
                "target `{text}` may hold {{model}} and {{client}}, and no other braces"
            ));
        }
        Ok(Self { text: text.to_owned(), is_fixed: rest.len() == text.len() })
    }

    /// The text, where it is the same for all records.
    pub(super) fn fixed(&self) -> Option<&str> {
        self.is_fixed.then_some(&self.text)
    }

    /// The text for a record.
    ///
    /// # Errors
    /// When the record lacks what it needs.
    pub(super) fn fill(
        &self,
        record: &Record,
        encode: impl Fn(&str) -> String,
    ) -> Result<String, String> {
        if self.is_fixed {
            return Ok(self.text.clone());
        }
        // What is put in may hold braces itself.
        let mut filled = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, from)) = rest.split_once('{') {
            let (name, behind) = from.split_once('}').unwrap_or((from, ""));
            let value = match name {
                "model" => Some(record.model.as_str()),
                _ => record.client.as_deref(),
            };
            let value = value.ok_or("the target holds {client}, and the record names none")?;
            filled += before;
            filled += &encode(value);
            rest = behind;
        }
        Ok(filled + rest)
    }
}
