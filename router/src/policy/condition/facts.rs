//! What an expression can look at.

use std::collections::BTreeMap;
use std::fmt;

use cel::common::types::{CelDouble, CelString};
use cel::common::value::CowVal;

use super::check::Type;
use crate::policy::name::Name;

/// What is known of one piece of content, by the names that expressions use.
pub(crate) struct Facts<'a> {
    /// `client`: whose content it is.
    pub(crate) client: &'a str,
    /// `content.content_id`.
    pub(crate) content_id: &'a str,
    /// `content.type`.
    pub(crate) r#type: Option<&'a str>,
    /// `content.locale`.
    pub(crate) locale: Option<&'a str>,
    /// `content.site`.
    pub(crate) site: Option<&'a str>,
    /// `content.author_id`.
    pub(crate) author_id: Option<&'a str>,
    /// `content.product_id`.
    pub(crate) product_id: Option<&'a str>,
    /// `content.rating`.
    pub(crate) rating: Option<f64>,
    /// `content.fields.NAME`.
    pub(crate) fields: &'a BTreeMap<String, String>,
    /// `scores.RULE`, of a rule that has one.
    pub(crate) scores: &'a (dyn Fn(&str) -> Option<f64> + Sync),
}

/// One of the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Client,
    Part(Part),
    Field(String),
    Score(Name),
}

/// A part of the content that each has at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Type,
    Locale,
    Site,
    Rating,
    AuthorId,
    ProductId,
    ContentId,
}

impl Part {
    pub(super) const ALL: [Self; 7] = [
        Self::Type,
        Self::Locale,
        Self::Site,
        Self::Rating,
        Self::AuthorId,
        Self::ProductId,
        Self::ContentId,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Locale => "locale",
            Self::Site => "site",
            Self::Rating => "rating",
            Self::AuthorId => "author_id",
            Self::ProductId => "product_id",
            Self::ContentId => "content_id",
        }
    }
}

impl Fact {
    pub(super) fn r#type(&self) -> Type {
        match self {
            Self::Part(Part::Rating) | Self::Score(_) => Type::Double,
            _ => Type::Text,
        }
    }

    /// Its value, borrowed from the facts; nothing where it is absent.
    pub(super) fn of<'a>(&self, facts: &Facts<'a>) -> Option<CowVal<'a, 'a>> {
        match self {
            Self::Part(Part::Rating) => facts.rating.map(number),
            Self::Score(rule) => (facts.scores)(rule.as_str()).map(number),
            _ => self.text(facts).map(|text| CowVal::owned(CelString::from(text))),
        }
    }

    /// Its value, if it is a text.
    pub(super) fn text<'a>(&self, facts: &Facts<'a>) -> Option<&'a str> {
        match self {
            Self::Client => Some(facts.client),
            Self::Part(Part::Type) => facts.r#type,
            Self::Part(Part::Locale) => facts.locale,
            Self::Part(Part::Site) => facts.site,
            Self::Part(Part::AuthorId) => facts.author_id,
            Self::Part(Part::ProductId) => facts.product_id,
            Self::Part(Part::ContentId) => Some(facts.content_id),
            Self::Field(name) => facts.fields.get(name).map(String::as_str),
            Self::Part(Part::Rating) | Self::Score(_) => None,
        }
    }
}

fn number<'a>(value: f64) -> CowVal<'a, 'a> {
    CowVal::owned(CelDouble::from(value))
}

/// As an expression names it.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Part(part) => write!(f, "content.{}", part.name()),
            Self::Field(name) if is_identifier(name) => write!(f, "content.fields.{name}"),
            Self::Field(name) => write!(f, "content.fields['{}']", name.escape_debug()),
            Self::Score(rule) if is_identifier(rule.as_str()) => write!(f, "scores.{rule}"),
            Self::Score(rule) => write!(f, "scores['{rule}']"),
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
