//! The content to moderate, as callers send it.

mod payload;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use utoipa::ToSchema;

use super::sample::is_sampled;
use crate::policy::condition::Facts;
use crate::policy::json::{self, Millis, Object, distinct_keys};
use crate::policy::model::Sending;
use crate::policy::name::Name;
use crate::problem::Problem;

/// The body of `POST /v1/moderate`, or one line of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    /// Whose content it is.
    pub(crate) client: Name,
    /// The client's site that it is for.
    #[serde(default)]
    pub(crate) site: Option<Name>,
    /// The caller's own name for it.
    pub(crate) content_id: ContentId,
    /// What sort of content it is, such as `review`.
    #[serde(default)]
    r#type: Option<String>,
    /// Its language and place.
    #[serde(default)]
    locale: Option<String>,
    /// The texts.
    fields: Fields,
    /// The stars given with it.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    rating: Option<Number>,
    /// Who wrote it; no model gets it.
    #[serde(default)]
    author_id: Option<String>,
    /// What it is about; no model gets it.
    #[serde(default)]
    product_id: Option<String>,
    /// The time that the caller has left, where it is less than the options allow.
    #[serde(default)]
    pub(crate) deadline_ms: Option<Millis>,
    /// Whether the answer lists all rules.
    #[serde(default)]
    pub(crate) explain: bool,
    /// Whether nothing is to be stored.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

impl Content {
    /// `source` is what holds the text: a body or a line.
    pub(crate) fn parse(text: &str, source: &str) -> Result<Self, Problem> {
        json::read(text, source)
    }

    /// What a `when` can see, with the scores of other rules.
    pub(super) fn facts<'a>(
        &'a self,
        scores: &'a (dyn Fn(&str) -> Option<f64> + Sync),
    ) -> Facts<'a> {
        Facts {
            client: self.client.as_str(),
            content_id: self.content_id.as_str(),
            r#type: self.r#type.as_deref(),
            locale: self.locale.as_deref(),
            site: self.site.as_ref().map(Name::as_str),
            author_id: self.author_id.as_deref(),
            product_id: self.product_id.as_deref(),
            rating: self.rating.as_ref().and_then(Number::as_f64),
            fields: &self.fields.0,
            scores,
        }
    }

    /// What a model is sent.
    pub(crate) fn payload(&self, sending: &Sending) -> Bytes {
        payload::write(self, sending)
    }
}

/// The caller's own name for a piece of content.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 256, pattern = "^[^\u{0}]*$")]
pub(crate) struct ContentId(String);

impl ContentId {
    /// Whether the content is among this share of all, which is always the same.
    pub(crate) fn is_drawn(&self, share: f64) -> bool {
        is_sampled(self, share)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of a text that is otherwise not as it should be, if it can be read.
    pub(crate) fn salvage(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Salvage {
            content_id: ContentId,
        }
        serde_json::from_str(text).ok().map(|Object(Salvage { content_id })| content_id)
    }
}

impl TryFrom<String> for ContentId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.len() {
            // PostgreSQL stores no such character.
            _ if text.contains('\0') => Err("must not contain U+0000"),
            1..=256 => Ok(Self(text)),
            _ => Err("must be from 1 to 256 bytes long"),
        }
    }
}

/// The texts by name, at least one; a text may be blank.
#[derive(Debug)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields: BTreeMap<String, String> = distinct_keys(deserializer)?;
        if fields.is_empty() {
            return Err(serde::de::Error::custom("must have at least one field"));
        }
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(rest: &str) -> Result<Content, Problem> {
        Content::parse(&format!(r#"{{"client": "a", "content_id": "r-1", {rest}}}"#), "body")
    }

    #[test]
    fn faults_name_their_field() {
        let cases = [
            (r#""fields": {}"#, "fields: must have at least one field"),
            (r#""fields": {"text": 5}"#, "fields.text: invalid type"),
            (r#""fields": {"a": "", "a": ""}"#, "fields: `a` stands twice"),
            (r#""fields": {"a": ""}, "deadline_ms": 0"#, "deadline_ms: must be from 1"),
            (r#""fields": {"a": ""}, "site": "a/b""#, "site: `a/b` is not a name"),
            (r#""rating": 5"#, "missing field `fields`"),
        ];
        for (rest, start) in cases {
            let fault = content(rest).unwrap_err().detail;
            assert!(fault.starts_with(start), "{rest}: {fault}");
        }
        let fault = content(r#""fields": {"a": ""}, "colour": 1"#).unwrap_err().detail;
        assert!(fault.contains("unknown field `colour`"), "{fault}");
    }

    #[test]
    fn content_is_an_object_and_no_list_of_its_values() {
        let fault = Content::parse(r#"["a", null, "r-1", null, null, {"text": ""}]"#, "body");
        let fault = fault.unwrap_err().detail;
        assert!(fault.starts_with("invalid type: sequence, expected an object"), "{fault}");
    }

    #[test]
    fn a_blank_text_is_content_too() {
        assert!(content(r#""fields": {"text": ""}"#).is_ok());
    }

    #[test]
    fn the_content_id_of_an_unusable_line_is_salvaged() {
        let id = ContentId::salvage(r#"{"content_id": "r-9", "fields": 3}"#).unwrap();
        assert_eq!(id.as_str(), "r-9");
        assert!(ContentId::salvage("{").is_none());
        assert!(ContentId::salvage(r#"["r-9"]"#).is_none());
    }
}
