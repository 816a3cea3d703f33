//! One input of a model that documents fill by themselves: a column of texts or of numbers.

use std::fmt::Debug;

use ort::session::SessionInputValue;
use ort::value::{Outlet, PrimitiveTensorElementType, Tensor, TensorElementType as Kind};

use super::input::TOKENS;
use crate::document::Document;

/// One of a model's inputs, `[documents]` or `[documents, width]`.
pub(super) struct Column {
    /// The name that the artifact gives it.
    pub(super) name: String,
    kind: Kind,
    is_matrix: bool,
    source: Source,
    /// The numbers that fill it, by the names of their fields.
    fields: Vec<String>,
}

/// Where a column comes from.
pub(super) enum Source {
    /// All text fields, joined.
    Text,
    /// One text field, by its place.
    Part(usize),
    /// All numbers, side by side.
    Numbers,
    /// One number, by its place.
    Number(usize),
}

impl Column {
    /// Checks that documents whose numbers have these names can fill this input from there.
    pub(super) fn new(outlet: &Outlet, source: Source, numbers: &[String]) -> Result<Self, String> {
        let fields = match source {
            Source::Text | Source::Part(_) => Vec::new(),
            Source::Numbers => numbers.to_vec(),
            Source::Number(place) => vec![numbers[place].clone()],
        };
        check_shape(outlet, Some(fields.len().max(1)))?;
        let kind = outlet.dtype().tensor_type().ok_or_else(|| unknown(outlet))?;
        let is_known = matches!(
            kind,
            Kind::String | Kind::Float32 | Kind::Float64 | Kind::Int64 | Kind::Int32
        );
        let is_matrix = shape(outlet).len() == 2;
        let column = Self { name: outlet.name().to_owned(), kind, is_matrix, source, fields };
        if is_known { Ok(column) } else { Err(unknown(outlet)) }
    }

    /// The tensor of these documents.
    pub(super) fn tensor(
        &self,
        documents: &[&Document],
    ) -> Result<SessionInputValue<'static>, String> {
        match self.kind {
            Kind::String => self.texts(documents),
            Kind::Float64 => self.numbers(documents, Some),
            Kind::Int64 => self.numbers(documents, whole),
            Kind::Int32 => self
                .numbers(documents, |number| whole(number).and_then(|it| i32::try_from(it).ok())),
            // Python's own arrays are narrowed just so.
            _ => self.numbers(documents, |number| Some(number as f32)),
        }
    }

    fn texts(&self, documents: &[&Document]) -> Result<SessionInputValue<'static>, String> {
        let texts: Vec<_> = documents.iter().map(|document| self.text(document)).collect();
        let tensor = Tensor::from_string_array((self.shape(texts.len(), 1), texts.as_slice()));
        Ok(tensor.map_err(|error| error.to_string())?.into())
    }

    /// A text ends at a zero character for `ort`, so a zero becomes the mark for what can't be represented.
    fn text(&self, document: &Document) -> String {
        let text = match self.source {
            Source::Part(place) => document.part(place),
            _ => &document.text,
        };
        text.replace('\0', "\u{FFFD}")
    }

    fn numbers<T: PrimitiveTensorElementType + Debug + Clone + 'static>(
        &self,
        documents: &[&Document],
        convert: impl Fn(f64) -> Option<T>,
    ) -> Result<SessionInputValue<'static>, String> {
        let numbers = documents.iter().flat_map(|document| match self.source {
            Source::Number(place) => &document.numbers[place..=place],
            _ => &document.numbers[..],
        });
        let fields = self.fields.iter().cycle();
        let numbers = numbers.zip(fields).map(|(&number, field)| {
            convert(number).ok_or_else(|| refused(field, number, self.kind))
        });
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let width = numbers.len() / documents.len().max(1);
        let tensor = Tensor::from_array((self.shape(documents.len(), width), numbers));
        Ok(tensor.map_err(|error| error.to_string())?.into())
    }

    fn shape(&self, documents: usize, width: usize) -> Vec<usize> {
        if self.is_matrix { vec![documents, width] } else { vec![documents] }
    }
}

fn refused(field: &str, number: f64, kind: Kind) -> String {
    if number.is_nan() {
        return format!("field `{field}` is absent, but the model needs a whole number ({kind})");
    }
    format!("field `{field}` is {number}, but the model reads whole numbers ({kind})")
}

/// An integer that a double holds exactly.
fn whole(number: f64) -> Option<i64> {
    let is_exact = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    is_exact.then_some(number as i64)
}

/// Whether an input reads texts.
pub(super) fn is_text(outlet: &Outlet) -> bool {
    outlet.dtype().tensor_type() == Some(Kind::String)
}

/// An input's dimensions; -1 is one that is open.
pub(super) fn shape(outlet: &Outlet) -> &[i64] {
    outlet.dtype().tensor_shape().map_or(&[], |shape| shape)
}

/// The first dimension counts the documents: any number of them, or one.
pub(super) fn check_shape(outlet: &Outlet, width: Option<usize>) -> Result<(), String> {
    let fits = |size: i64, width: Option<usize>| {
        size == -1 || width.is_none() || usize::try_from(size).ok() == width
    };
    let is_right = match (shape(outlet), width) {
        ([-1 | 1], Some(1)) => true,
        ([-1 | 1, size], width) => fits(*size, width),
        _ => false,
    };
    if is_right {
        return Ok(());
    }
    let (name, kind) = (outlet.name(), outlet.dtype());
    let wanted = width.map_or("tokens".to_owned(), |width| width.to_string());
    Err(format!("its input `{name}` is {kind}, which is not [documents, {wanted}]"))
}

/// The complaint about an input that no field fills.
pub(super) fn no_field(outlet: &Outlet) -> String {
    let (name, kind) = (outlet.name(), outlet.dtype());
    let list = if is_text(outlet) { "text" } else { "numbers" };
    format!("its input `{name}` is {kind}; no field in `{list}` of [input] in model.toml fills it")
}

/// The complaint about an input of a kind that nothing fills.
pub(super) fn unknown(outlet: &Outlet) -> String {
    let (name, kind) = (outlet.name(), outlet.dtype());
    format!(
        "its input `{name}` is {kind}; a model reads texts, numbers (f32, f64, i32, i64), or the \
         tokens `{}` (i64, i32)",
        TOKENS.join("`, `")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_not_whole_is_refused_by_the_name_of_its_field() {
        let fields = vec!["length".to_owned(), "rating".to_owned()];
        let name = "features".to_owned();
        let column =
            Column { name, kind: Kind::Int64, is_matrix: true, source: Source::Numbers, fields };
        let refusal = |number| {
            let whole = Document { numbers: vec![1.0, 2.0], ..Document::default() };
            let document = Document { numbers: vec![1.0, number], ..Document::default() };
            column.tensor(&[&whole, &document]).err().unwrap()
        };
        assert!(refusal(1.5).starts_with("field `rating` is 1.5, but"), "{}", refusal(1.5));
        assert!(refusal(f64::NAN).starts_with("field `rating` is absent"), "{}", refusal(f64::NAN));
    }
}
