//! Values of Arrow's arrays as JSON and as cells.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::import::row::Cell;

/// A value as a cell; nothing for null.
pub(super) fn cell(array: &dyn Array, row: usize) -> Result<Option<Cell>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    if let Some(bytes) = bytes(array, row) {
        return Ok(Some(Cell::Text(bytes.to_vec().into())));
    }
    Ok(match value(array, row)? {
        Value::Null => None,
        Value::String(text) => Some(Cell::Text(text.into())),
        other => Some(Cell::Json(other.to_string())),
    })
}

/// A value as JSON. Numbers that JSON doesn't have, such as NaN, become texts.
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Value, String> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    if let Some(bytes) = bytes(array, row) {
        let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        return Ok(text.into());
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => {
            array.as_primitive::<Decimal128Type>().value_as_string(row).into()
        }
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value(row))?.into(),
        DataType::Timestamp(unit, _) => time(array, *unit, row)?.into(),
        DataType::FixedSizeBinary(16) => {
            let bytes = array.as_fixed_size_binary().value(row);
            Uuid::from_slice(bytes).map_err(|error| error.to_string())?.to_string().into()
        }
        DataType::Struct(_) => structure(array, row)?,
        DataType::Map(..) => map(array, row)?,
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items = (0..items.len()).map(|item| value(&items, item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        other => return Err(format!("the type {other} is not read: cast the column")),
    })
}

fn bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        _ => return None,
    })
}

fn double(number: f64) -> Value {
    if number.is_finite() { number.into() } else { number.to_string().into() }
}

fn date(days: i32) -> Result<String, String> {
    let date = Date::constant(1970, 1, 1).checked_add(days.days());
    date.map(|date| date.to_string()).map_err(|error| error.to_string())
}

fn time(array: &dyn Array, unit: TimeUnit, row: usize) -> Result<String, String> {
    let time = match unit {
        TimeUnit::Second => {
            Timestamp::from_second(array.as_primitive::<TimestampSecondType>().value(row))
        }
        TimeUnit::Millisecond => {
            Timestamp::from_millisecond(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        TimeUnit::Microsecond => {
            Timestamp::from_microsecond(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        TimeUnit::Nanosecond => Timestamp::from_nanosecond(
            array.as_primitive::<TimestampNanosecondType>().value(row).into(),
        ),
    };
    time.map(|time| time.to_string()).map_err(|error| error.to_string())
}

/// Members that are null are left out.
fn structure(array: &dyn Array, row: usize) -> Result<Value, String> {
    let array = array.as_struct();
    let mut members = Map::new();
    for (name, column) in array.column_names().into_iter().zip(array.columns()) {
        let value = value(column, row).map_err(|reason| format!("`{name}`: {reason}"))?;
        members.extend(Some((name.to_owned(), value)).filter(|(_, value)| !value.is_null()));
    }
    Ok(Value::Object(members))
}

fn map(array: &dyn Array, row: usize) -> Result<Value, String> {
    let entries = array.as_map().value(row);
    let mut members = Map::new();
    for entry in 0..entries.len() {
        let Value::String(name) = value(entries.column(0), entry)? else {
            return Err("a map whose keys are no texts is not read".to_owned());
        };
        members.insert(name, value(entries.column(1), entry)?);
    }
    Ok(Value::Object(members))
}
