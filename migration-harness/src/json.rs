//! Reads bodies as JSON values that still know how they were written, so that what makes two of
//! them differ isn't lost: every digit, every escape, the order of members.

mod number;
mod parser;
mod same;
mod text;

use std::cell::OnceCell;
use std::collections::HashMap;

pub(crate) use number::{Number, Quantity};
pub(crate) use text::Text;

use parser::Parser;

/// How many values a body may hold: each takes sixteen times the memory of its shortest text.
pub(crate) const MAX_VALUES: usize = 4 << 20;

/// Objects with fewer members are searched one by one.
const FEW_MEMBERS: usize = 16;

/// A JSON value, borrowed from its body.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, or one of the words that some servers write for what JSON can't say.
    Number(Number<'a>),
    /// A string.
    Text(Text<'a>),
    /// An array.
    Array(Vec<Self>),
    /// An object, in the order of its members. Of members with one name, the last counts.
    Object(Vec<Member<'a>>),
}

/// A member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    /// Its name.
    pub(crate) name: Text<'a>,
    /// Its value.
    pub(crate) value: Value<'a>,
    /// Whether the object has more than one of the name.
    pub(crate) is_repeated: bool,
}

/// The value that a body holds.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    /// The value.
    pub(crate) value: Value<'a>,
    /// How many bytes of white space stand between its tokens.
    pub(crate) spaces: usize,
}

impl<'a> Document<'a> {
    /// Takes the bytes as one JSON value, or `None` where they aren't one, nest deeper than 128
    /// levels or hold more than four million values.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::parse_within(bytes, &mut { MAX_VALUES })
    }

    /// The same where the values are some of those that may be left.
    pub(crate) fn parse_within(bytes: &'a [u8], left: &mut usize) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parser = Parser::new(text, *left);
        let value = parser.document()?;
        *left = parser.left();
        Some(Self { value, spaces: parser.spaces() })
    }
}

impl<'a> Value<'a> {
    /// The members of an object.
    pub(crate) fn members(&self) -> Option<&[Member<'a>]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// The number, where it is one.
    pub(crate) fn number(&self) -> Option<Number<'a>> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The string, where it is one.
    pub(crate) fn text(&self) -> Option<Text<'a>> {
        if let Self::Text(text) = self { Some(*text) } else { None }
    }
}

/// Finds members by name: where they are expected first, and in a table if there are many.
pub(crate) struct Lookup<'v, 'a> {
    members: &'v [Member<'a>],
    table: OnceCell<HashMap<Text<'a>, usize>>,
}

impl<'v, 'a> Lookup<'v, 'a> {
    /// Over the members of one object.
    pub(crate) fn new(members: &'v [Member<'a>]) -> Self {
        Self { members, table: OnceCell::new() }
    }

    /// The place of the member of that name, which is expected at `place`.
    pub(crate) fn find(&self, name: Text<'_>, place: usize) -> Option<usize> {
        if self.members.get(place).is_some_and(|member| member.name == name) {
            return Some(place);
        }
        if self.members.len() <= FEW_MEMBERS {
            return self.members.iter().position(|member| member.name == name);
        }
        let names = || self.members.iter().enumerate().map(|(n, m)| (m.name, n)).collect();
        self.table.get_or_init(names).get(&name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Value<'_>> {
        Document::parse(text.as_bytes()).map(|document| document.value)
    }

    fn equal(left: &str, right: &str) -> bool {
        parse(left).unwrap() == parse(right).unwrap()
    }

    #[test]
    fn integers_keep_every_digit() {
        assert!(!equal("[18446744073709551616]", "[18446744073709551617]"));
        let [one, two] = ["1", "2"].map(|last| format!("{}{last}", "9".repeat(60)));
        assert!(equal(&one, &one) && !equal(&one, &two));
        assert!(!equal("-9223372036854775809", "-9223372036854775810"));
        assert!(!equal("18446744073709551617", r#""18446744073709551617""#));
        assert!(equal("0", "-0") && !equal("0.0", "-0.0"));
    }

    #[test]
    fn doubles_are_equal_by_their_bits_and_beyond_doubles_by_their_text() {
        assert!(equal("0.1", "1e-1") && equal("100.0", "1E2") && !equal("1", "1.0"));
        assert!(equal("1e400", "1e400") && !equal("1e400", "1e401") && !equal("1e400", "-1e400"));
        assert!(equal("NaN", "nan") && equal("-Infinity", "-inf") && !equal("NaN", "-NaN"));
        assert!(!equal("Infinity", "-Infinity") && !equal("Infinity", "1e308"));
    }

    #[test]
    fn strings_are_equal_however_they_are_escaped() {
        assert!(equal(r#""a\u00e9\n\/""#, "\"\\u0061é\\u000A/\""));
        assert!(equal(r#""\ud83d\ude00""#, "\"😀\"") && equal(r#""\ud83d""#, r#""\uD83D""#));
        assert!(!equal(r#""\ud800""#, r#""\\ud800""#) && !equal(r#""\ud800""#, r#""\ud801""#));
    }

    #[test]
    fn of_members_with_one_name_the_last_counts_and_all_are_noticed() {
        let value = parse(r#"{"a": 1, "b": 2, "\u0061": 3}"#).unwrap();
        let members = value.members().unwrap();
        assert_eq!(members.len(), 2);
        assert!(members[0].is_repeated && !members[1].is_repeated);
        assert_eq!(members[0].value, parse("3").unwrap());
        let many = |last: &str| {
            let members: Vec<_> = (0..40).map(|n| format!("\"m{n}\": {n}")).collect();
            format!("{{{}, \"m3\": {last}}}", members.join(","))
        };
        assert!(
            equal(&many("7"), &many("7.").replace("7.", "7")) && !equal(&many("7"), &many("3"))
        );
    }

    #[test]
    fn members_are_found_in_any_order() {
        let [mut some, mut others] = [(0..5), (0..50)]
            .map(|range| range.map(|n| format!("\"m{n}\":{n}")).collect::<Vec<_>>());
        for members in [&mut some, &mut others] {
            let text = format!("{{{}}}", members.join(","));
            members.reverse();
            assert!(equal(&text, &format!("{{{}}}", members.join(","))));
            assert!(!equal(&text, &format!("{{{}}}", members[1..].join(","))));
        }
    }

    #[test]
    fn what_is_not_json_has_no_value() {
        for bad in [
            "",
            "{",
            "[",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "\"a",
            "\"\\",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "01",
            "1.",
            ".5",
            "1e",
            "-",
            "+1",
            "1 2",
            "nul",
            "nulls",
            "tru",
            "Nan",
            "infinit",
            "--1",
            "'a'",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(Document::parse(b"\xff").is_none() && Document::parse(b"\"\xc3\"").is_none());
    }

    #[test]
    fn nesting_ends_somewhere() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(128)).is_some());
        assert!(parse(&nested(129)).is_none() && parse(&"[".repeat(1_000_000)).is_none());
    }

    #[test]
    fn several_texts_share_what_they_may_hold() {
        let mut left = 5;
        let mut holds = |text: &str| Document::parse_within(text.as_bytes(), &mut left).is_some();
        assert!(holds("[1,2]") && holds("[1]") && !holds("1"));
    }

    #[test]
    fn white_space_is_counted_outside_of_strings() {
        let spaces = |text: &str| Document::parse(text.as_bytes()).unwrap().spaces;
        assert_eq!((spaces("{\"a b\":[1,2]}"), spaces(" {\"a b\" : [ ] }\r\n")), (0, 7));
        assert_eq!(spaces("\u{feff}1"), 0);
    }
}
