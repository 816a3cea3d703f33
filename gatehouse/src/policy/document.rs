//! Documents as YAML 1.2 or JSON: what a file says, as the JSON that the router takes, and back.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::{
    Location, MergeKeyPolicy, Options, SerializerOptions, Spanned, UserMessageFormatter,
};

/// What the file's ending says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `.yaml` or `.yml`.
    Yaml,
    /// `.json`.
    Json,
}

impl Format {
    /// By the name's ending; None for any other.
    pub(super) fn of(extension: &str) -> Option<Self> {
        match extension {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Reads a text; faults name the line and the column.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        if self == Self::Json {
            // YAML takes all of JSON, and more.
            serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
        }
        let node = serde_saphyr::from_str_with_options(text, limits());
        value(node.map_err(|error| error.render_with_formatter(&UserMessageFormatter))?, text)
    }

    /// Writes a value so that [`Format::read`] gives it back, with sorted keys.
    pub(super) fn write(self, value: &Value) -> Result<String, String> {
        let written = match self {
            Self::Yaml => serde_saphyr::to_string_with_options(value, layout())
                .map_err(|error| error.to_string()),
            Self::Json => serde_json::to_string_pretty(value)
                .map(|text| text + "\n")
                .map_err(|error| error.to_string()),
        };
        written.map(|text| escaped(&text))
    }
}

/// A text on one line, however long, is one line of a diff.
fn layout() -> SerializerOptions {
    serde_saphyr::ser_options! { prefer_block_scalars: false, compact_list_indent: false }
}

/// Control characters that were left in quotes as they are, which YAML does not take.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                escaped += &format!("\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Bounds what a small file can grow to by its aliases.
fn limits() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 100_000,
            max_aliases: 1000,
            enforce_alias_anchor_ratio: false,
            max_total_scalar_bytes: 1 << 20,
        },
    }
}

/// What the library reads; numbers are read again by the rules of YAML 1.2, which are narrower.
enum Node {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("what JSON has too")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Node, E> {
        Ok(Node::Bool(bool))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

/// The JSON of a node; `source` is the text that it was read from.
fn value(node: Spanned<Node>, source: &str) -> Result<Value, String> {
    Ok(match node.value {
        Node::Null => Value::Null,
        Node::Bool(bool) => Value::Bool(bool),
        Node::Number => number(node.defined, source)?,
        // To the library, what is too large for a number is a text.
        Node::Text(text) if is_prefixed(&text) && written(node.defined, source) == Some(&text) => {
            number(node.defined, source)?
        }
        Node::Text(text) => Value::String(text),
        Node::List(items) => {
            let items = items.into_iter().map(|item| value(item, source));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Node::Map(entries) => {
            let entries = entries.into_iter().map(|(key, item)| Ok((key, value(item, source)?)));
            Value::Object(entries.collect::<Result<_, String>>()?)
        }
    })
}

fn number(place: Location, source: &str) -> Result<Value, String> {
    let read = match written(place, source) {
        Some(text) if !text.is_empty() && !text.starts_with(['"', '\'']) => scalar(text),
        // A number by its tag alone, such as `!!int "7"`.
        _ => Err("write the number without quotes and without a tag".to_owned()),
    };
    read.map_err(|fault| format!("{fault} at line {}, column {}", place.line(), place.column()))
}

/// What stands there.
fn written(place: Location, source: &str) -> Option<&str> {
    let (start, len) = place.span().byte_offset().zip(place.span().byte_len())?;
    let start = usize::try_from(start).ok()?;
    source.get(start..start + usize::try_from(len).ok()?)
}

/// Whether it is an octal or hexadecimal number.
fn is_prefixed(text: &str) -> bool {
    text.strip_prefix("0o").is_some_and(|digits| consists(digits, |c| matches!(c, '0'..='7')))
        || text.strip_prefix("0x").is_some_and(|digits| consists(digits, |c| c.is_ascii_hexdigit()))
}

/// A plain scalar by YAML 1.2's core schema: `0b1` and `1_000` are texts there.
fn scalar(text: &str) -> Result<Value, String> {
    let too_large = |_| format!("`{text}` needs more than 64 bits");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if is_prefixed(text) {
        let radix = if text.starts_with("0o") { 8 } else { 16 };
        return u64::from_str_radix(&text[2..], radix).map(Value::from).map_err(too_large);
    }
    if consists(digits, |c| c.is_ascii_digit()) {
        return match text.strip_prefix('-') {
            Some(_) => text.parse::<i64>().map(Value::from),
            None => digits.parse::<u64>().map(Value::from),
        }
        .map_err(too_large);
    }
    let is_decimal = consists(text, |c| c.is_ascii_digit() || "+-.eE".contains(c));
    match text.parse::<f64>() {
        Ok(float) if is_decimal => Number::from_f64(float)
            .map(Value::Number)
            .ok_or_else(|| format!("`{text}` is too large a number")),
        _ => Ok(Value::from(text)),
    }
}

fn consists(text: &str, of: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(of)
}

#[cfg(test)]
mod tests;
