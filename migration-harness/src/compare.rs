//! Compares two answers and says where and how they differ.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use crate::caller::Answer;
use crate::difference::{Difference, Kind};
use crate::json::{self, Form};

/// How many representable doubles apart two numbers may be to count as the same bar rounding.
const MAX_ULPS: u64 = 4;
/// The field that a difference of a whole body is given.
const BODY: &str = "body";

/// The distinct ways in which `new` differs from `old`.
///
/// Bodies are compared only where status and media type agree: a different kind of answer differs
/// in every field, which would say nothing more.
pub(crate) fn compare(old: &Answer, new: &Answer) -> BTreeSet<Difference> {
    let media_type = media_type(old);
    if old.status != new.status {
        return [Difference::whole("status", Kind::Status)].into();
    }
    if media_type != self::media_type(new) {
        return [Difference::whole("content_type", Kind::ContentType)].into();
    }
    let mut comparison = Comparison::default();
    if old.body != new.body {
        match Form::of(media_type.as_deref().unwrap_or_default()) {
            Form::Json => comparison.json(&old.body, &new.body),
            Form::Lines => comparison.lines(&old.body, &new.body),
            Form::Text => comparison.add("", Kind::Text),
        }
    }
    comparison.differences
}

fn media_type(answer: &Answer) -> Option<String> {
    let content_type = answer.content_type.as_deref()?;
    let media_type = content_type.split(';').next().unwrap_or_default();
    Some(media_type.trim().to_ascii_lowercase())
}

#[derive(Default)]
struct Comparison {
    differences: BTreeSet<Difference>,
}

impl Comparison {
    fn add(&mut self, path: &str, kind: Kind) {
        let field = if path.is_empty() { BODY } else { path };
        self.differences.insert(Difference::whole(field, kind));
    }

    /// Bytes that aren't JSON on either side are compared as they are.
    fn json(&mut self, old: &[u8], new: &[u8]) {
        match (json::parse(old), json::parse(new)) {
            (Some(old), Some(new)) => self.value("", &old, &new),
            _ if old == new => {}
            _ => self.add("", Kind::Text),
        }
    }

    fn lines(&mut self, old: &[u8], new: &[u8]) {
        let (old, new) = (split_lines(old), split_lines(new));
        if old.len() != new.len() {
            self.add("", Kind::Length);
        }
        for (old, new) in old.into_iter().zip(new) {
            self.json(old, new);
        }
    }

    fn value(&mut self, path: &str, old: &Value, new: &Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(path, old, new),
            (Value::Array(old), Value::Array(new)) => self.array(path, old, new),
            (Value::Number(old), Value::Number(new)) => {
                if let Some(kind) = number_kind(old, new) {
                    self.add(path, kind);
                }
            }
            _ if old == new => {}
            _ if std::mem::discriminant(old) == std::mem::discriminant(new) => {
                self.add(path, Kind::Value);
            }
            _ => self.add(path, Kind::Type),
        }
    }

    fn object(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (name, value) in old {
            let path = member_path(path, name);
            match new.get(name) {
                Some(other) => self.value(&path, value, other),
                None => self.add(&path, Kind::Missing),
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            self.add(&member_path(path, name), Kind::Extra);
        }
    }

    fn array(&mut self, path: &str, old: &[Value], new: &[Value]) {
        let path = format!("{path}[]");
        if old.len() != new.len() {
            self.add(&path, Kind::Length);
        }
        for (old, new) in old.iter().zip(new) {
            self.value(&path, old, new);
        }
    }
}

fn split_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).collect()
}

/// `scores.spam`; a name that holds what paths are made of is quoted.
fn member_path(path: &str, name: &str) -> String {
    if name.is_empty() || name.contains(['.', '[', ']', '"']) {
        return format!("{path}[{}]", Value::from(name));
    }
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Integers are compared as integers and doubles by their bits.
fn number_kind(old: &Number, new: &Number) -> Option<Kind> {
    match (old.is_f64(), new.is_f64()) {
        (false, false) => (old != new).then_some(Kind::Value),
        (true, true) => match ulps(old.as_f64()?, new.as_f64()?) {
            0 => None,
            1..=MAX_ULPS => Some(Kind::Ulp),
            _ => Some(Kind::Value),
        },
        _ => Some(Kind::Type),
    }
}

/// How many steps from one representable double to the next lie between two; -0.0 and 0.0 are one
/// apart.
fn ulps(old: f64, new: f64) -> u64 {
    rank(old).abs_diff(rank(new))
}

/// The double's place among all doubles.
fn rank(value: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = value.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &str) -> Answer {
        let content_type = Some(content_type.to_owned());
        Answer { status: 200, content_type, body: body.to_owned().into() }
    }

    fn differences(content_type: &str, old: &str, new: &str) -> Vec<String> {
        let found = compare(&answer(content_type, old), &answer(content_type, new));
        found.iter().map(|d| format!("{} {}", d.field, d.kind.name())).collect()
    }

    fn json(old: &str, new: &str) -> Vec<String> {
        differences("application/json", old, new)
    }

    #[test]
    fn order_of_members_and_white_space_do_not_matter() {
        assert!(json(r#"{"a": 1, "b": [1.5, "x"]}"#, r#"{"b":[1.5,"\u0078"],"a":1}"#).is_empty());
    }

    #[test]
    fn numbers_are_compared_by_their_64_bits() {
        assert!(json("0.1", "1e-1").is_empty());
        assert_eq!(
            json(r#"{"s": {"p": 0.1}}"#, r#"{"s": {"p": 0.10000000000000002}}"#),
            ["s.p ulp"]
        );
        assert_eq!(json(r#"{"p": 0.1}"#, r#"{"p": 0.1000000000000001}"#), ["p value"]);
        assert_eq!(json("0.0", "-0.0"), ["body ulp"]);
        assert_eq!(json("-5e-324", "5e-324"), ["body ulp"]);
        assert_eq!(json("[7]", "[8]"), ["[] value"]);
    }

    #[test]
    fn an_integer_and_a_double_are_of_two_types() {
        assert_eq!(json(r#"{"n": 1}"#, r#"{"n": 1.0}"#), ["n type"]);
        assert_eq!(json(r#"{"n": null}"#, r#"{"n": "1"}"#), ["n type"]);
    }

    #[test]
    fn members_and_lengths_are_told_apart() {
        let old = r#"{"a": 1, "b.c": 2, "l": [1, 2], "x": {"y": 1}}"#;
        let new = r#"{"a": 1, "l": [3, 2, 1], "x": {"y": 2, "z": 3}}"#;
        let found = json(old, new);
        assert_eq!(
            found,
            [r#"["b.c"] missing"#, "l[] value", "l[] length", "x.y value", "x.z extra"]
        );
    }

    #[test]
    fn lines_are_compared_one_by_one_and_named_without_their_number() {
        let lines = |old: &str, new: &str| differences("application/jsonlines", old, new);
        assert!(lines("{\"a\": 1}\n{\"a\":2}\n", "{\"a\":1}\r\n\n{\"a\":2}").is_empty());
        assert_eq!(lines("{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n{\"a\": 3}\n"), ["a value"]);
        assert_eq!(lines("{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n{\"a\""), ["body text"]);
        assert_eq!(lines("{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n"), ["body length"]);
    }

    #[test]
    fn other_text_is_compared_as_text() {
        assert!(differences("text/plain", "1.0", "1.0").is_empty());
        assert_eq!(differences("text/plain", "1.0", "1.00"), ["body text"]);
        assert_eq!(json("{\"a\"", "{\"b\""), ["body text"]);
    }

    #[test]
    fn parameters_and_case_of_the_content_type_do_not_matter_and_the_type_does() {
        let old = answer("application/json", "1");
        let same = answer("Application/JSON; charset=utf-8", "1");
        assert!(compare(&old, &same).is_empty());
        let found = compare(&old, &answer("text/plain", "1"));
        assert_eq!(found, [Difference::whole("content_type", Kind::ContentType)].into());
    }

    #[test]
    fn another_status_is_the_one_difference() {
        let old = answer("application/json", "1");
        let new = Answer { status: 500, ..answer("text/plain", "oops") };
        assert_eq!(compare(&old, &new), [Difference::whole("status", Kind::Status)].into());
    }
}
