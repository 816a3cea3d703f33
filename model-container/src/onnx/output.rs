//! What a model answers: a row of numbers for each document, and what they are called.

use ort::session::Session;
use ort::value::{
    DynMapValueType, DynSequenceValueType, DynTensorValueType, DynValue, Outlet,
    TensorElementType as Kind, Value, ValueType,
};

/// What one call answered.
pub(super) struct Output {
    /// What the columns are called.
    pub(super) columns: Columns,
    /// The numbers of each document.
    pub(super) rows: Vec<Vec<f64>>,
}

/// What the numbers of a row are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Columns {
    /// By the artifact itself, with texts.
    Texts(Vec<String>),
    /// By the artifact itself, with whole numbers.
    Whole(Vec<i64>),
    /// Not at all; there are as many as this.
    Nameless(usize),
}

/// The name of the output that holds the scores: the `wanted` one, or the only one that can.
pub(super) fn choose(session: &Session, wanted: Option<&str>) -> Result<String, String> {
    let names = |outlets: Vec<&str>| outlets.join("`, `");
    let outputs = session.outputs();
    if let Some(name) = wanted {
        let all = names(outputs.iter().map(Outlet::name).collect());
        let is_there = outputs.iter().any(|outlet| outlet.name() == name);
        return is_there.then(|| name.to_owned()).ok_or_else(|| {
            format!("it has no output `{name}` ([onnx] in model.toml), but `{all}`")
        });
    }
    let possible = outputs.iter().filter(|outlet| can_be_scores(outlet.dtype()));
    let possible: Vec<_> = possible.map(Outlet::name).collect();
    match possible[..] {
        [name] => Ok(name.to_owned()),
        [] => Err("none of its outputs holds scores: [documents, labels] of f32 or f64, or maps \
                   from label to score"
            .to_owned()),
        _ => Err(format!(
            "any of `{}` could be the scores; name one as `output` of [onnx] in model.toml",
            names(possible)
        )),
    }
}

fn can_be_scores(kind: &ValueType) -> bool {
    match kind {
        ValueType::Tensor { ty: Kind::Float32 | Kind::Float64, shape, .. } => shape.len() <= 2,
        ValueType::Sequence(of) => matches!(**of, ValueType::Map { .. }),
        _ => false,
    }
}

impl Output {
    /// Reads the scores of `count` documents.
    pub(super) fn read(value: &DynValue, count: usize) -> Result<Self, String> {
        let output = match value.dtype() {
            ValueType::Sequence(_) => Self::of_maps(value),
            _ => Self::of_tensor(value, count),
        };
        let output = output.map_err(|error| error.to_string())?;
        let is_whole = output.rows.len() == count && output.columns.count() > 0;
        is_whole.then_some(output).ok_or_else(|| {
            format!(
                "its output is {}, which is no row of scores for {count} documents",
                value.dtype()
            )
        })
    }

    fn of_tensor(value: &DynValue, count: usize) -> ort::Result<Self> {
        let tensor = value.view().downcast::<DynTensorValueType>()?;
        let width = match **tensor.shape() {
            [_] => 1,
            [_, width] => usize::try_from(width).unwrap_or(0),
            _ => 0,
        };
        let numbers: Vec<f64> = match tensor.data_type() {
            Kind::Float64 => tensor.try_extract_tensor::<f64>()?.1.to_vec(),
            _ => tensor.try_extract_tensor::<f32>()?.1.iter().copied().map(f64::from).collect(),
        };
        let rows = if numbers.len() == width * count { width } else { usize::MAX };
        let rows = numbers.chunks_exact(rows.max(1)).map(<[f64]>::to_vec).collect();
        Ok(Self { columns: Columns::Nameless(width), rows })
    }

    /// A ZipMap's: each document has the same labels in the same order.
    fn of_maps(value: &DynValue) -> ort::Result<Self> {
        let maps = value.view().downcast::<DynSequenceValueType>()?;
        let maps = maps.try_extract_sequence::<DynMapValueType>()?;
        let mut output =
            Self { columns: Columns::Nameless(0), rows: Vec::with_capacity(maps.len()) };
        for map in maps {
            let (columns, row) = read_map(&map)?;
            if output.rows.is_empty() {
                output.columns = columns;
            } else if output.columns != columns {
                return Err(ort::Error::new("its documents have different labels"));
            }
            output.rows.push(row);
        }
        Ok(output)
    }
}

fn read_map(map: &Value<DynMapValueType>) -> ort::Result<(Columns, Vec<f64>)> {
    let is_text = matches!(map.dtype(), ValueType::Map { key: Kind::String, .. });
    if is_text {
        let mut pairs = map.try_extract_key_values::<String, f32>()?;
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let (labels, row) = pairs.into_iter().map(|(key, score)| (key, f64::from(score))).unzip();
        Ok((Columns::Texts(labels), row))
    } else {
        let mut pairs = map.try_extract_key_values::<i64, f32>()?;
        pairs.sort_by_key(|pair| pair.0);
        let (labels, row) = pairs.into_iter().map(|(key, score)| (key, f64::from(score))).unzip();
        Ok((Columns::Whole(labels), row))
    }
}

impl Columns {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Texts(labels) => labels.len(),
            Self::Whole(labels) => labels.len(),
            Self::Nameless(width) => *width,
        }
    }

    /// The labels: the artifact's own, or those that the package `declared` in their order.
    pub(super) fn labels(&self, declared: Option<&[String]>) -> Result<Vec<String>, String> {
        match (self, declared) {
            (Self::Texts(own), _) => Ok(own.clone()),
            (Self::Whole(own), None) => Ok(own.iter().map(i64::to_string).collect()),
            (_, Some(labels)) if self.fits(labels.len()) => Ok(labels.to_vec()),
            (_, Some(labels)) => Err(format!(
                "model.toml has the {} `labels` {labels:?}, but the output has {} columns",
                labels.len(),
                self.count()
            )),
            (Self::Nameless(width), None) => Err(format!(
                "its output has {width} columns and no names for them; list the `labels` in \
                 model.toml, in the order of the columns"
            )),
        }
    }

    /// One column may stand for two labels: it is the score of the second.
    fn fits(&self, labels: usize) -> bool {
        labels == self.count() || (labels == 2 && *self == Self::Nameless(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(columns: &Columns, declared: &[&str]) -> Result<Vec<String>, String> {
        let declared: Vec<_> = declared.iter().map(|&label| label.to_owned()).collect();
        columns.labels(Some(&declared).filter(|it| !it.is_empty()).map(Vec::as_slice))
    }

    #[test]
    fn labels_come_from_the_artifact_or_else_from_the_manifest() {
        let texts = Columns::Texts(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(labels(&texts, &["x", "y"]).unwrap(), ["a", "b"]);
        assert_eq!(labels(&Columns::Whole(vec![0, 1]), &[]).unwrap(), ["0", "1"]);
        assert_eq!(labels(&Columns::Whole(vec![0, 1]), &["ham", "spam"]).unwrap(), ["ham", "spam"]);
        assert_eq!(labels(&Columns::Nameless(1), &["ham", "spam"]).unwrap(), ["ham", "spam"]);
    }

    #[test]
    fn labels_that_do_not_match_the_columns_are_refused() {
        let error = labels(&Columns::Nameless(3), &["ham", "spam"]).unwrap_err();
        assert!(error.ends_with("but the output has 3 columns"), "{error}");
        let error = labels(&Columns::Whole(vec![0, 1]), &["ham"]).unwrap_err();
        assert!(error.contains(r#"1 `labels` ["ham"]"#), "{error}");
        assert!(labels(&Columns::Nameless(3), &[]).unwrap_err().contains("list the `labels`"));
    }
}
