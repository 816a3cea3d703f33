//! What a model says of one document, as it is written on the wire.

use std::ops::Range;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::document::Document;
use crate::model::Finding;
use crate::package::Input;

/// One answer: every label with its score, and the label with the highest.
#[derive(Debug, Serialize)]
pub struct Prediction<'a> {
    /// The label with the highest score, the first of equals.
    pub label: &'a str,
    /// That label's score.
    pub score: f64,
    /// Every label's score, in the order of the labels.
    pub scores: Scores<'a>,
    /// The places in the text that led to the score, where the model knows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence<'a>>,
    /// Who says so; absent inside a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a Identity>,
}

impl<'a> Prediction<'a> {
    /// Puts a model's finding into words.
    pub(crate) fn new(
        labels: &'a [String],
        finding: Finding,
        document: &Document,
        input: &'a Input,
    ) -> Self {
        let best = first_maximum(&finding.scores);
        let evidence =
            finding.spans.iter().flat_map(|span| Evidence::locate(span, document, input));
        Self {
            label: &labels[best],
            score: finding.scores[best],
            evidence: evidence.collect(),
            scores: Scores { labels, values: finding.scores },
            model: None,
        }
    }

    /// The same with the model's identity, for answers that stand alone.
    pub(crate) fn signed(self, model: &'a Identity) -> Self {
        Self { model: Some(model), ..self }
    }
}

/// The scores by label, serialized as a map in the labels' order.
#[derive(Debug)]
pub struct Scores<'a> {
    labels: &'a [String],
    values: Vec<f64>,
}

impl Scores<'_> {
    /// The scores in the order of the labels.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.labels.len()))?;
        for (label, value) in self.labels.iter().zip(&self.values) {
            map.serialize_entry(label, value)?;
        }
        map.end()
    }
}

/// A place in one field, in Unicode code points.
#[derive(Debug, Serialize)]
pub struct Evidence<'a> {
    field: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Evidence<'a> {
    /// Finds the fields that a span of the joined text reaches into, without the space around it.
    fn locate(
        span: &Range<usize>,
        document: &Document,
        input: &'a Input,
    ) -> impl Iterator<Item = Self> {
        document.parts.iter().filter_map(move |(index, part)| {
            let inside = span.start.max(part.start)..span.end.min(part.end);
            let text = document.text.get(inside.clone())?;
            let trimmed = text.trim();
            let lead = text.len() - text.trim_start().len();
            let before = &document.text[part.start..inside.start + lead];
            let start = before.chars().count();
            let end = start + trimmed.chars().count();
            (start < end).then_some(Self { field: &input.text[*index], start, end })
        })
    }
}

/// Which model, in which version, from which bytes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The package's hash.
    pub digest: String,
    /// All of it as JSON, for every answer carries it.
    json: Box<RawValue>,
}

/// An identity as answers carry it.
#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    version: &'a str,
    digest: &'a str,
}

impl Identity {
    /// Puts together what a package says of itself.
    pub fn new(name: &str, version: &str, digest: &str) -> Self {
        let json = Written { name, version, digest };
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
            json: to_raw_value(&json).expect("texts are always JSON"),
        }
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

fn first_maximum(scores: &[f64]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}
