//! Finds the scores among the output tensors of the Open Inference Protocol.
//!
//! What names a score, in this order: the tensor's own parameter `labels` (our container), the
//! tensor's name where it holds one number for each label registered, a tensor of as many texts,
//! the labels registered, a tensor's name where none are.

use serde_json::Value;

use super::{Scores, valid};

/// The most outputs that are looked through.
const MAX_OUTPUTS: usize = 2000;

/// The scores of the one row that was asked for.
pub(super) fn scores(outputs: &Value, labels: &[&str]) -> Result<Scores, String> {
    let outputs = outputs.as_array().ok_or("the answer has no list of outputs")?;
    if outputs.len() > MAX_OUTPUTS {
        return Err(format!("the answer has more than {MAX_OUTPUTS} outputs"));
    }
    let tensors = outputs.iter().map(Tensor::read).collect::<Result<Vec<_>, _>>()?;
    let (floats, texts): (Vec<_>, Vec<_>) =
        tensors.into_iter().flatten().partition(|tensor| tensor.is_float);
    if let Some(tensor) = only(floats.iter().filter(|tensor| tensor.labels.is_some()))? {
        return tensor.named(tensor.labels.iter().flatten().map(String::as_str));
    }
    let is_named = |label: &str| floats.iter().any(|tensor| tensor.is_score_of(label));
    if !labels.is_empty() && labels.iter().all(|label| is_named(label)) {
        return by_name(floats.iter().filter(|tensor| labels.contains(&tensor.name)));
    }
    // The one number of an output with another name may be anything.
    let fits = |tensor: &&Tensor<'_>| {
        let scores = tensor.data.len();
        scores > 1 && (labels.is_empty() || scores == labels.len())
    };
    match only(floats.iter().filter(fits))? {
        Some(tensor) => named_elsewhere(tensor, &texts, labels),
        None if labels.is_empty() => by_name(floats.iter().filter(|tensor| tensor.data.len() == 1)),
        None => Err("no output has a score for each label registered".to_owned()),
    }
}

/// Scores that an output of as many texts names, or else the registration.
fn named_elsewhere(
    tensor: &Tensor<'_>,
    texts: &[Tensor<'_>],
    labels: &[&str],
) -> Result<Scores, String> {
    let scores = tensor.data.len();
    match only(texts.iter().filter(|texts| texts.data.len() == scores))? {
        Some(texts) => tensor.named(texts.data.iter().filter_map(|text| text.as_str())),
        None if labels.is_empty() => Err("scores without names; register the labels".to_owned()),
        None => tensor.named(labels.iter().copied()),
    }
}

/// An output that may have to do with scores.
struct Tensor<'a> {
    name: &'a str,
    is_float: bool,
    labels: Option<Vec<String>>,
    data: Vec<&'a Value>,
}

impl<'a> Tensor<'a> {
    /// Nothing for a tensor of another type.
    fn read(output: &'a Value) -> Result<Option<Self>, String> {
        let is_float = match output["datatype"].as_str() {
            Some("FP16" | "BF16" | "FP32" | "FP64") => true,
            Some("BYTES") => false,
            Some(_) => return Ok(None),
            None => return Err("an output has no datatype".to_owned()),
        };
        let name = output["name"].as_str().ok_or("an output has no name")?;
        let mut data = Vec::new();
        flatten(&output["data"], &mut data);
        if size(&output["shape"]) != Some(data.len()) {
            return Err("an output has not as many elements as its shape says".to_owned());
        }
        let labels = labels(&output["parameters"]["labels"]);
        Ok(Some(Self { name, is_float, labels, data }))
    }

    fn is_score_of(&self, label: &str) -> bool {
        self.name == label && self.data.len() == 1
    }

    /// Its scores by these names, one for each.
    fn named<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<Scores, String> {
        let names: Vec<_> = names.collect();
        let mut scores = Scores::default();
        let mut named = names.iter().zip(&self.data);
        let differ = named.all(|(name, score)| scores.insert((*name).to_owned(), valid(score)));
        if !differ || names.len() != self.data.len() {
            return Err("an output has not one name for each of its scores".to_owned());
        }
        Ok(scores)
    }
}

/// The one number of each tensor, by the tensor's name.
fn by_name<'t>(tensors: impl Iterator<Item = &'t Tensor<'t>>) -> Result<Scores, String> {
    let mut scores = Scores::default();
    for tensor in tensors {
        let score = tensor.data.first().and_then(|score| valid(score));
        if !scores.insert(tensor.name.to_owned(), score) {
            return Err("two outputs have one name".to_owned());
        }
    }
    if scores.is_empty() { Err("no output has scores".to_owned()) } else { Ok(scores) }
}

/// The one, if there is one; where there are several, nobody knows which is meant.
fn only<T>(mut some: impl Iterator<Item = T>) -> Result<Option<T>, String> {
    let one = some.next();
    match some.next() {
        None => Ok(one),
        Some(_) => Err("several outputs may be the scores; register where they stand".to_owned()),
    }
}

/// The elements of a list, however nested.
fn flatten<'a>(data: &'a Value, elements: &mut Vec<&'a Value>) {
    for element in data.as_array().into_iter().flatten() {
        if element.is_array() {
            flatten(element, elements);
        } else {
            elements.push(element);
        }
    }
}

/// How many elements a tensor of this shape has.
fn size(shape: &Value) -> Option<usize> {
    let dimension = |dimension: &Value| usize::try_from(dimension.as_u64()?).ok();
    let sizes = shape.as_array()?.iter().map(dimension).collect::<Option<Vec<_>>>()?;
    sizes.into_iter().try_fold(1, usize::checked_mul)
}

/// A list, or one as a text: a parameter of the protocol is no list.
fn labels(parameter: &Value) -> Option<Vec<String>> {
    match parameter {
        Value::String(list) => serde_json::from_str(list).ok(),
        list => serde_json::from_value(list.clone()).ok(),
    }
}
