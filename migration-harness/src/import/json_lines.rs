//! JSON lines: records as they are, or lines of any shape, of which pointers tell what is what.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call::{Call, Found, Take};
use super::columns::Assignment;
use super::input;
use super::row::{self, Defaults, Row};
use crate::error::Error;
use crate::record;
use crate::record::line::Content;

/// Reads a file of records.
pub(super) fn read_records(reader: &mut dyn BufRead, take: &mut Take<'_>) -> Result<(), Error> {
    input::each_line(reader, take, |line| match record::line::parse(line, Content::Calls) {
        Ok(record) => Found::Record(Box::new(record)),
        Err(reason) => Found::Bad(format!(
            "{reason}; a line that is no record is understood with `--map body=/POINTER …`"
        )),
    })
}

/// Reads a file whose lines hold the parts of a call where the map says.
pub(super) fn read(
    map: &[Assignment],
    defaults: &Defaults,
    reader: &mut dyn BufRead,
    take: &mut Take<'_>,
) -> Result<(), Error> {
    let tops: BTreeSet<String> = map.iter().filter_map(|it| tokens(&it.name).next()).collect();
    input::each_line(reader, take, |line| Found::of(call(map, &tops, defaults, line)))
}

fn call(
    map: &[Assignment],
    tops: &BTreeSet<String>,
    defaults: &Defaults,
    line: &[u8],
) -> Result<Call, String> {
    let line: &RawValue = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut cells = BTreeMap::new();
    for Assignment { field, name } in map {
        let value = find(line, name).map_err(|reason| format!("`{name}`: {reason}"))?;
        if let Some(cell) = value.map(row::cell).transpose()?.flatten() {
            cells.insert(*field, cell);
        }
    }
    let unknown = others(line, tops)?;
    Row { cells, members: Vec::new(), unknown }.call(defaults)
}

/// The members of a line that no pointer goes into.
fn others(line: &RawValue, tops: &BTreeSet<String>) -> Result<Map<String, Value>, String> {
    if !line.get().starts_with('{') {
        return Ok(Map::new());
    }
    let mut unknown: Map<String, Value> =
        serde_json::from_str(line.get()).map_err(|error| error.to_string())?;
    unknown.retain(|name, _| !tops.contains(name));
    Ok(unknown)
}

/// The value that a JSON pointer leads to, as it is written.
fn find<'a>(json: &'a RawValue, pointer: &str) -> Result<Option<&'a RawValue>, String> {
    let mut value = json;
    for token in tokens(pointer) {
        let inner = match value.get().as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<Cow<'a, str>, &'a RawValue> =
                    serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
                members.get(token.as_str()).copied()
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> =
                    serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
                token.parse::<usize>().ok().and_then(|index| items.get(index).copied())
            }
            _ => None,
        };
        let Some(inner) = inner else { return Ok(None) };
        value = inner;
    }
    Ok(Some(value))
}

/// The steps of a pointer.
fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pointer: &str) -> Option<String> {
        let json = r#"{"a": {"b/c": [1.0, 18446744073709551617]}, "": {"~": "x"}, "n": null}"#;
        let json: &RawValue = serde_json::from_str(json).unwrap();
        find(json, pointer).unwrap().map(|value| value.get().to_owned())
    }

    #[test]
    fn a_pointer_leads_to_a_value_as_it_is_written() {
        assert_eq!(found("/a/b~1c/1").unwrap(), "18446744073709551617");
        assert_eq!(found("/a").unwrap(), r#"{"b/c": [1.0, 18446744073709551617]}"#);
        assert_eq!(found("//~0").unwrap(), r#""x""#);
        for absent in ["/b", "/a/b", "/a/b~1c/2", "/a/b~1c/-1", "/n/x"] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }
}
