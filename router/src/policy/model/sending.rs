//! What a model is sent of a content, and how it is written.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

/// The most fields that a registration may list.
const MAX_FIELDS: usize = 100;
/// The longest name of a field that it may list, in bytes.
const MAX_NAME: usize = 200;

/// All that decides the bytes that a model is sent for a content: equal ones make equal bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sending {
    /// What is sent besides the fields.
    pub(crate) inputs: Inputs,
    /// Which of the fields are sent; all where nothing is said.
    pub(crate) fields: Option<FieldNames>,
    /// How it is written.
    pub(crate) writing: Writing,
}

/// How a model's input is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Writing {
    /// As one object.
    #[default]
    Object,
    /// As a tensor for each field, in the Open Inference Protocol.
    Tensors(TensorShape),
}

/// The protocol that a model speaks, where it is not that of our own container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// The Open Inference Protocol, version 2, over REST.
    V2,
}

/// The shape of a tensor that holds one value: `[1]`, or `[1, 1]` for a model that takes batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<u64>")]
pub(crate) enum TensorShape {
    /// One value.
    #[default]
    Value,
    /// A batch of one row of one value, as Triton wants it of a model with a `max_batch_size`.
    Batch,
}

impl TensorShape {
    /// As it is written.
    pub(crate) fn dimensions(self) -> &'static [u64] {
        match self {
            Self::Value => &[1],
            Self::Batch => &[1, 1],
        }
    }
}

impl TryFrom<Vec<u64>> for TensorShape {
    type Error = &'static str;

    fn try_from(dimensions: Vec<u64>) -> Result<Self, Self::Error> {
        let known = [Self::Value, Self::Batch];
        let shape = known.into_iter().find(|shape| shape.dimensions() == dimensions);
        shape.ok_or("must be [1] or [1, 1]")
    }
}

/// The fields of a content that a model is sent, each once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "Vec<String>")]
#[schema(value_type = Vec<String>, min_items = 1, max_items = 100)]
pub(crate) struct FieldNames(Arc<[String]>);

impl FieldNames {
    pub(super) fn names(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}

impl TryFrom<Vec<String>> for FieldNames {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let fits = |name: &String| (1..=MAX_NAME).contains(&name.len());
        let is_twice = |(index, name): &(usize, &String)| names[..*index].contains(name);
        if !(1..=MAX_FIELDS).contains(&names.len()) || !names.iter().all(fits) {
            return Err(format!("must be from 1 to {MAX_FIELDS} names of 1 to {MAX_NAME} bytes"));
        }
        match names.iter().enumerate().find(is_twice) {
            Some((_, name)) => Err(format!("`{name}` stands twice")),
            None => Ok(Self(names.into())),
        }
    }
}

/// What a model is sent besides the content's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Input>")]
pub(crate) struct Inputs {
    /// `rating`.
    pub(crate) rating: bool,
    /// `locale`.
    pub(crate) locale: bool,
    /// `type`.
    pub(crate) r#type: bool,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Input {
    Rating,
    Locale,
    Type,
}

impl From<Vec<Input>> for Inputs {
    fn from(inputs: Vec<Input>) -> Self {
        Self {
            rating: inputs.contains(&Input::Rating),
            locale: inputs.contains(&Input::Locale),
            r#type: inputs.contains(&Input::Type),
        }
    }
}
