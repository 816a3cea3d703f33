//! One input tensor: its data as JSON or as bytes, checked against its shape and type.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::AtMost;
use super::request::bad_request;
use crate::document::Field;
use crate::invocation::{MAX_CONTENTS, check_count};
use crate::problem::Problem;

/// A tensor as a request declares it.
#[derive(Deserialize)]
pub(super) struct Tensor<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    datatype: Datatype,
    /// `[n]` or `[n, 1]`.
    shape: AtMost<u64, 8>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The types that a model's fields can be given in.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Datatype {
    Bytes,
    Fp32,
    Fp64,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
}

#[derive(Deserialize)]
struct Parameters {
    binary_data_size: Option<u64>,
}

/// Where a tensor's elements are.
#[derive(Clone, Copy)]
enum Data<'a> {
    Json(&'a RawValue),
    Binary(&'a [u8]),
}

/// A field's values, one a row.
#[derive(Debug)]
pub(super) enum Column<'a> {
    Texts(Vec<Field<'a>>),
    /// An absent one is NaN.
    Numbers(Vec<f64>),
}

impl<'a> Tensor<'a> {
    /// Reads the elements; binary ones are taken from the front of `binary`.
    pub(super) fn column(&self, binary: &mut &'a [u8]) -> Result<Column<'a>, Problem> {
        let column = self.rows().and_then(|rows| self.elements(self.data(binary)?, rows));
        column.map_err(|problem| problem.within(&format!("input `{}`", self.name)))
    }

    fn rows(&self) -> Result<usize, Problem> {
        let (&[rows] | &[rows, 1]) = self.shape.0.as_slice() else {
            let shape = &self.shape.0;
            return Err(bad_request(format!("its shape is {shape:?}, not [n] or [n, 1]")));
        };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        check_count(rows)?;
        Ok(rows)
    }

    fn data(&self, binary: &mut &'a [u8]) -> Result<Data<'a>, Problem> {
        let size = self.parameters.as_ref().and_then(|given| given.binary_data_size);
        match (self.data, size) {
            (Some(json), None) => Ok(Data::Json(json)),
            (None, Some(size)) => {
                let taken = binary.split_at_checked(usize::try_from(size).unwrap_or(usize::MAX));
                let (bytes, rest) = taken.ok_or_else(|| {
                    let left = binary.len();
                    bad_request(format!(
                        "its `binary_data_size` is {size}, but {left} bytes are left behind the \
                         JSON, which ends at `Inference-Header-Content-Length`"
                    ))
                })?;
                *binary = rest;
                Ok(Data::Binary(bytes))
            }
            _ => Err(bad_request("it needs either `data` or a `binary_data_size`".to_owned())),
        }
    }

    fn elements(&self, data: Data<'a>, rows: usize) -> Result<Column<'a>, Problem> {
        macro_rules! numbers {
            ($number:ty) => {{
                let numbers = match data {
                    Data::Json(json) => self.list::<Option<$number>>(json, rows)?,
                    Data::Binary(bytes) => chunks(bytes, rows)?
                        .map(|bytes| Some(<$number>::from_le_bytes(*bytes)))
                        .collect(),
                };
                let as_f64 = |number: Option<$number>| number.map_or(f64::NAN, |it| it as f64);
                Column::Numbers(numbers.into_iter().map(as_f64).collect())
            }};
        }
        Ok(match self.datatype {
            Datatype::Bytes => Column::Texts(match data {
                Data::Json(json) => texts(self.list(json, rows)?)?,
                Data::Binary(bytes) => binary_texts(bytes, rows)?,
            }),
            Datatype::Fp32 => numbers!(f32),
            Datatype::Fp64 => numbers!(f64),
            Datatype::Int8 => numbers!(i8),
            Datatype::Int16 => numbers!(i16),
            Datatype::Int32 => numbers!(i32),
            Datatype::Int64 => numbers!(i64),
            Datatype::Uint8 => numbers!(u8),
            Datatype::Uint16 => numbers!(u16),
            Datatype::Uint32 => numbers!(u32),
            Datatype::Uint64 => numbers!(u64),
        })
    }

    /// The elements of a list, flat or as nested as the shape is.
    fn list<T: Deserialize<'a>>(&self, json: &'a RawValue, rows: usize) -> Result<Vec<T>, Problem> {
        let json = json.get();
        let is_nested = json.strip_prefix('[').is_some_and(|it| it.trim_start().starts_with('['));
        let list = if is_nested && self.shape.0.len() == 2 {
            let nested = serde_json::from_str::<AtMost<[T; 1], MAX_CONTENTS>>(json);
            nested.map(|nested| nested.0.into_iter().map(|[element]| element).collect())
        } else {
            serde_json::from_str::<AtMost<T, MAX_CONTENTS>>(json).map(|list| list.0)
        };
        let list: Vec<T> = list.map_err(|error| bad_request(format!("its `data`: {error}")))?;
        if list.len() != rows {
            let length = list.len();
            let detail = format!("its `data` has {length} elements, and its shape says {rows}");
            return Err(bad_request(detail));
        }
        Ok(list)
    }
}

impl<'a> Column<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// The value of one row, which is asked for once.
    pub(super) fn take(&mut self, row: usize) -> Field<'a> {
        match self {
            Self::Texts(texts) => std::mem::take(&mut texts[row]),
            Self::Numbers(numbers) if numbers[row].is_nan() => Field::Absent,
            Self::Numbers(numbers) => Field::Number(numbers[row]),
        }
    }

    /// Refuses numbers for a text field, and texts for a number.
    pub(super) fn check_kind(&self, name: &str, is_text: bool) -> Result<(), Problem> {
        match (self, is_text) {
            (Self::Numbers(_), true) => {
                Err(bad_request(format!("input `{name}` is a text; its datatype must be BYTES")))
            }
            (Self::Texts(_), false) => Err(bad_request(format!(
                "input `{name}` is a number; its datatype must be FP64, FP32, INT64 or the like"
            ))),
            _ => Ok(()),
        }
    }
}

fn texts(list: Vec<Field<'_>>) -> Result<Vec<Field<'_>>, Problem> {
    let is_text = |field: &Field<'_>| matches!(field, Field::Text(_) | Field::Absent);
    match list.iter().position(|field| !is_text(field)) {
        Some(index) => Err(bad_request(format!("its element {index} is not a string"))),
        None => Ok(list),
    }
}

/// Texts, each behind its length in four bytes.
fn binary_texts(mut bytes: &[u8], rows: usize) -> Result<Vec<Field<'_>>, Problem> {
    let mut texts = Vec::with_capacity(rows);
    for index in 0..rows {
        let (text, rest) = split_text(bytes)
            .ok_or_else(|| bad_request(format!("its bytes end within element {index}")))?;
        let text = std::str::from_utf8(text)
            .map_err(|error| bad_request(format!("its element {index} is not UTF-8: {error}")))?;
        texts.push(Field::Text(text.into()));
        bytes = rest;
    }
    if bytes.is_empty() {
        return Ok(texts);
    }
    let detail = format!("{} bytes are left behind its {rows} elements", bytes.len());
    Err(bad_request(detail))
}

fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Numbers of `N` bytes each.
fn chunks<const N: usize>(
    bytes: &[u8],
    rows: usize,
) -> Result<impl Iterator<Item = &[u8; N]>, Problem> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    if chunks.len() == rows && rest.is_empty() {
        return Ok(chunks.iter());
    }
    let length = bytes.len();
    let detail = format!("it has {length} bytes, and {rows} elements of {N} bytes are expected");
    Err(bad_request(detail))
}
