//! Columns of the types that different programs write the same things in.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Int64Array, ListArray, MapArray, StringArray, StructArray,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;

/// What is wrong with a batch, and in which of its rows.
#[derive(Debug)]
pub(super) struct Fault {
    /// From 0.
    pub(super) row: usize,
    /// A sentence for the user.
    pub(super) reason: String,
}

impl Fault {
    fn of_type(name: &str, array: &dyn Array, wanted: &str) -> Self {
        let reason =
            format!("column `{name}` is of type {}; write it as {wanted}", array.data_type());
        Self { row: 0, reason }
    }
}

/// A group of columns: the whole file's, or those of a struct.
#[derive(Debug, Clone)]
pub(super) struct Group {
    columns: StructArray,
    prefix: &'static str,
}

impl Group {
    /// The columns whose names in messages begin with the prefix.
    pub(super) fn new(columns: StructArray, prefix: &'static str) -> Self {
        Self { columns, prefix }
    }

    /// Whether the row has this struct at all.
    pub(super) fn is_valid(&self, row: usize) -> bool {
        self.columns.is_valid(row)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn find(&self, name: &str) -> Option<&ArrayRef> {
        self.columns.column_by_name(name).filter(|it| *it.data_type() != DataType::Null)
    }

    /// A column that every row has a value in.
    fn require(&self, name: &str) -> Result<&ArrayRef, Fault> {
        let Some(array) = self.find(name) else {
            let reason = format!("column `{}` is missing: every record has one", self.name(name));
            return Err(Fault { row: 0, reason });
        };
        let missing = |row: &usize| self.columns.is_valid(*row) && array.is_null(*row);
        match (array.null_count() > 0).then(|| (0..array.len()).find(missing)).flatten() {
            Some(row) => {
                let reason = format!("`{}` is null: every record has one", self.name(name));
                Err(Fault { row, reason })
            }
            None => Ok(array),
        }
    }

    /// A struct that may be missing.
    pub(super) fn group(&self, name: &str, prefix: &'static str) -> Result<Option<Self>, Fault> {
        let Some(array) = self.find(name) else { return Ok(None) };
        match array.as_struct_opt() {
            Some(columns) => Ok(Some(Self::new(columns.clone(), prefix))),
            None => Err(Fault::of_type(&self.name(name), array, "a struct")),
        }
    }

    /// Text in every row.
    pub(super) fn text(&self, name: &str) -> Result<StringArray, Fault> {
        self.text_of(name, self.require(name)?)
    }

    /// Text that may be missing.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<StringArray>, Fault> {
        self.find(name).map(|array| self.text_of(name, array)).transpose()
    }

    fn text_of(&self, name: &str, array: &ArrayRef) -> Result<StringArray, Fault> {
        let text = array.as_string_opt::<i32>().cloned();
        text.ok_or_else(|| Fault::of_type(&self.name(name), array, "a string"))
    }

    /// Text or bytes in every row.
    pub(super) fn bytes(&self, name: &str) -> Result<Bytes, Fault> {
        let array = self.require(name)?;
        if let Some(text) = array.as_string_opt::<i32>() {
            return Ok(Bytes::Text(text.clone()));
        }
        match array.as_binary_opt::<i32>() {
            Some(bytes) => Ok(Bytes::Binary(bytes.clone())),
            None => Err(Fault::of_type(&self.name(name), array, "a string, or as binary")),
        }
    }

    /// Integers in every row.
    pub(super) fn integers(&self, name: &str) -> Result<Int64Array, Fault> {
        self.integers_of(name, self.require(name)?)
    }

    /// Integers that may be missing.
    pub(super) fn optional_integers(&self, name: &str) -> Result<Option<Int64Array>, Fault> {
        self.find(name).map(|array| self.integers_of(name, array)).transpose()
    }

    fn integers_of(&self, name: &str, array: &ArrayRef) -> Result<Int64Array, Fault> {
        Ok(match array.data_type() {
            DataType::Int8 => widen::<Int8Type>(array),
            DataType::Int16 => widen::<Int16Type>(array),
            DataType::Int32 => widen::<Int32Type>(array),
            DataType::Int64 => widen::<Int64Type>(array),
            DataType::UInt8 => widen::<UInt8Type>(array),
            DataType::UInt16 => widen::<UInt16Type>(array),
            DataType::UInt32 => widen::<UInt32Type>(array),
            // What is too large is out of every range, as what is below zero.
            DataType::UInt64 => {
                array.as_primitive::<UInt64Type>().unary(|n| i64::try_from(n).unwrap_or(-1))
            }
            // What pandas makes of integers where some are missing.
            DataType::Float64 => array.as_primitive::<Float64Type>().iter().map(whole).collect(),
            _ => return Err(Fault::of_type(&self.name(name), array, "INT32 or INT64")),
        })
    }

    /// Moments in every row, in microseconds of the Unix epoch.
    pub(super) fn moments(&self, name: &str) -> Result<Int64Array, Fault> {
        let array = self.require(name)?;
        Ok(match array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => {
                array.as_primitive::<TimestampSecondType>().unary(|n| n.saturating_mul(1_000_000))
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                array.as_primitive::<TimestampMillisecondType>().unary(|n| n.saturating_mul(1_000))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                array.as_primitive::<TimestampMicrosecondType>().unary(|n| n)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                array.as_primitive::<TimestampNanosecondType>().unary(|n| n.div_euclid(1_000))
            }
            DataType::Utf8 => return parse_moments(&self.name(name), array.as_string()),
            _ => {
                let wanted = "a timestamp, or as text like 2026-11-21T10:00:00.123456Z";
                return Err(Fault::of_type(&self.name(name), array, wanted));
            }
        })
    }

    /// Pairs of names and values, as a map, a list of pairs, or a struct with a field for each name.
    pub(super) fn headers(&self) -> Result<Headers, Fault> {
        let Some(array) = self.find("headers") else { return Ok(Headers::None) };
        let is_text = |of: &DataType| *of == DataType::Utf8;
        match array.data_type() {
            DataType::Map(..) => {
                let map = array.as_map();
                if is_text(map.keys().data_type()) && is_text(map.values().data_type()) {
                    return Ok(Headers::Map(map.clone()));
                }
            }
            DataType::List(pair) => {
                if matches!(pair.data_type(), DataType::List(of) if is_text(of.data_type())) {
                    return Ok(Headers::Pairs(array.as_list().clone()));
                }
            }
            DataType::Struct(fields) if fields.iter().all(|it| is_text(it.data_type())) => {
                return Ok(Headers::Struct(array.as_struct().clone()));
            }
            _ => {}
        }
        Err(Fault::of_type(&self.name("headers"), array, "a map of strings"))
    }
}

fn widen<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Int64Array {
    array.as_primitive::<T>().unary(Into::into)
}

/// A number without a fraction; any other is out of every range.
fn whole(number: Option<f64>) -> Option<i64> {
    let number = number.filter(|number| !number.is_nan())?;
    let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
    Some(if is_whole { number as i64 } else { -1 })
}

fn parse_moments(name: &str, texts: &StringArray) -> Result<Int64Array, Fault> {
    let parse = |(row, text): (usize, Option<&str>)| {
        let text = text.unwrap_or_default();
        let moment: Result<Timestamp, _> = text.parse();
        moment.map(Timestamp::as_microsecond).map_err(|_| {
            let reason = format!("`{name}` is no time like 2026-11-21T10:00:00.123456Z: `{text}`");
            Fault { row, reason }
        })
    };
    texts.iter().enumerate().map(parse).collect::<Result<Vec<i64>, _>>().map(Int64Array::from)
}

/// Bodies.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    /// Of a column of strings.
    Text(StringArray),
    /// Of a column of bytes.
    Binary(BinaryArray),
}

impl Bytes {
    /// The bytes in a row that has them.
    pub(super) fn at(&self, row: usize) -> &[u8] {
        match self {
            Self::Text(text) => text.value(row).as_bytes(),
            Self::Binary(bytes) => bytes.value(row),
        }
    }
}

/// Headers, whichever way they are written.
#[derive(Debug, Clone)]
pub(super) enum Headers {
    /// There are none.
    None,
    /// As Parquet should.
    Map(MapArray),
    /// As pandas writes what it has read as a map.
    Pairs(ListArray),
    /// As pandas writes its own.
    Struct(StructArray),
}

impl Headers {
    /// The headers of a row.
    pub(super) fn at(&self, row: usize) -> BTreeMap<String, String> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        match self {
            Self::Map(map) if map.is_valid(row) => {
                let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string());
                let offset = |row: usize| usize::try_from(map.value_offsets()[row]).unwrap_or(0);
                let entries = offset(row)..offset(row + 1);
                let pair = |at| Some((keys.value(at), optional(Some(values), at)?));
                entries.filter_map(pair).map(owned).collect()
            }
            Self::Pairs(pairs) if pairs.is_valid(row) => {
                let pairs = pairs.value(row);
                let pair = |pair: ArrayRef| {
                    let pair = pair.as_string::<i32>();
                    let is_pair = pair.len() == 2 && pair.null_count() == 0;
                    is_pair.then(|| owned((pair.value(0), pair.value(1))))
                };
                pairs.as_list::<i32>().iter().flatten().filter_map(pair).collect()
            }
            Self::Struct(fields) if fields.is_valid(row) => {
                let columns = fields.column_names().into_iter().zip(fields.columns());
                let pair = |(name, column): (_, &'_ ArrayRef)| {
                    let column = column.as_string::<i32>();
                    column.is_valid(row).then(|| owned((name, column.value(row))))
                };
                columns.filter_map(pair).collect()
            }
            _ => BTreeMap::new(),
        }
    }
}

/// The text of a row that has some.
pub(super) fn optional(texts: Option<&StringArray>, row: usize) -> Option<&str> {
    texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}
