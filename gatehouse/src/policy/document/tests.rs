//! What YAML says, and that what is written is read back as it was.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn yaml(text: &str) -> Value {
    Format::Yaml.read(text).unwrap()
}

fn fault(text: &str) -> String {
    Format::Yaml.read(text).unwrap_err()
}

#[test]
fn words_and_dates_are_texts_and_only_null_is_null() {
    for word in ["no", "on", "yes", "y", "off", "NO", "2026-11-21", "12:30:45", "nUll", "1_000"] {
        assert_eq!(yaml(&format!("x: {word}")), json!({"x": word}));
    }
    for null in ["", "~", "null", "Null", "NULL"] {
        assert_eq!(yaml(&format!("rules: {{spam: {null}}}")), json!({"rules": {"spam": null}}));
    }
    assert_eq!(yaml("a: True\nb: 'true'\nc: !!str 7\n"), json!({"a": true, "b": "true", "c": "7"}));
}

#[test]
fn numbers_are_those_of_yaml_1_2_and_keep_their_bits() {
    let integers = [
        ("0755", 755),
        ("+1", 1),
        ("0o17", 15),
        ("0x1F", 31),
        ("18446744073709551615", u64::MAX),
        ("-0", 0),
    ];
    for (text, integer) in integers {
        assert_eq!(yaml(&format!("- {text}")), json!([integer]), "{text}");
    }
    assert_eq!(yaml("- -9223372036854775808"), json!([i64::MIN]));
    let floats = [("1e3", 1e3), ("0.70", 0.7), (".5", 0.5), ("5.", 5.0), ("1E-7", 1e-7)];
    for (text, float) in floats {
        assert_eq!(yaml(&format!("- {text}")), json!([float]), "{text}");
    }
    let bits = |value: Value| value[0].as_f64().unwrap().to_bits();
    assert_eq!(bits(yaml("- -0.0")), (-0.0_f64).to_bits());
    assert_eq!(bits(yaml("- 0.1000000000000000055511151231257827")), 0.1_f64.to_bits());
    assert_eq!(bits(yaml("- 5e-324")), 1);
    for text in ["0b1", "-0x1F", "0X1F", "0O17", "1_000", "+0x1", "1e", "."] {
        assert_eq!(yaml(&format!("x: {text}")), json!({"x": text}), "{text}");
    }
}

#[test]
fn numbers_that_json_has_not_are_refused_with_their_place() {
    for text in [".inf", "-.INF", ".nan", "1e999"] {
        let fault = fault(&format!("a: 1\nb: {text}"));
        assert!(fault.contains(text) && fault.ends_with("at line 2, column 4"), "{fault}");
    }
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        "0xFFFFFFFFFFFFFFFFF",
        "0o7777777777777777777777777",
    ] {
        let fault = fault(&format!("a:\n  - {text}"));
        assert!(fault.ends_with("needs more than 64 bits at line 2, column 5"), "{fault}");
    }
    assert!(fault("a: !!int \"7\"").contains("without quotes and without a tag at line 1"));
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_place() {
    let twice = fault("rules:\n  spam: {}\n  hate: {}\n  spam: {}\n");
    assert_eq!(twice, "duplicate mapping key `spam` is not allowed here at line 4, column 3");
    assert!(fault("{\"a\": 1, \"\\u0061\": 2}").contains("line 1, column 10"));
    let json = Format::Json.read("{\n\t\"a\": 1,\n\t\"a\": 2\n}").unwrap_err();
    assert!(json.contains("`a`") && json.contains("line 3"), "{json}");
}

#[test]
fn files_that_grow_when_they_are_read_are_refused() {
    let list = |name: char, of: &str| format!("{name}: &{name} [{}]\n", [of; 10].join(","));
    let levels = ('b'..='j').map(|name| list(name, &format!("*{}", char::from(name as u8 - 1))));
    let nodes = list('a', "x") + &levels.collect::<String>();
    let text = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(100_000), ["*a"; 100].join(","));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for bomb in [nodes, text, deep, "a: &a [*a]".to_owned(), "<<: {a: 1}".to_owned()] {
        assert!(Format::Yaml.read(&bomb).is_err(), "{}", &bomb[..10]);
    }
}

#[test]
fn other_streams_and_tags_are_refused_in_words_for_users() {
    let texts = ["a: 1\n---\nb: 2", "a: !code 1", "a: *b", "a: [", "? [a]\n: 1", "a:\n\t- b", "\0"];
    for text in texts {
        let fault = fault(text);
        assert!(fault.contains(" at line ") && !fault.contains("Option"), "{fault}");
    }
    let no_json = Format::Json.read("a: 1").unwrap_err();
    assert!(no_json.contains("line 1 column 1"), "{no_json}");
}

#[test]
fn json_is_read_to_the_letter() {
    let text = "{\n\t\"a\": \"\\ud83d\\ude00\\/\\n\",\n\t\"b\": [-1.5e-7, 1E5, null, true, {}]}\n";
    assert_eq!(Format::Json.read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
}

#[test]
fn what_is_written_has_sorted_keys_and_a_line_for_each_field() {
    let spam = json!({"review_at": 0.7, "enabled": false, "reject_at": null});
    let document = json!({"rules": {"spam": spam}, "parent": "industry/no",
        "locked": ["a.b"], "empty": {}, "no": "1e3",
        "when": "content.type == 'review' && ".repeat(9)});
    let when = document["when"].as_str().unwrap();
    let expected = format!(
        "empty: {{}}\nlocked:\n  - a.b\n\"no\": \"1e3\"\nparent: industry/no\nrules:\n  spam:\n    \
         enabled: false\n    reject_at: null\n    review_at: 0.7\nwhen: {when:?}\n"
    );
    assert_eq!(Format::Yaml.write(&document).unwrap(), expected);
}

/// Texts that a YAML reader could take for something else, and any others.
fn texts() -> impl Strategy<Value = String> {
    let traps = [
        "no",
        "null",
        "~",
        "1e3",
        "0b1",
        "0x1F",
        "1_000",
        "0755",
        "+1",
        ".5",
        ".inf",
        "2026-11-21",
        "12:30",
        "<<",
        "=",
        "-",
        "- a",
        "---",
        "...",
        "# x",
        "a: b",
        "a #b",
        " a",
        "a ",
        "\n",
        "a\n",
        "a\n\nb",
        "\t",
        "'",
        "\"",
        "\\",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@",
        "`",
        "[",
        "{",
        "?",
        "? ",
        ":",
        "",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "true",
        "True",
    ];
    prop_oneof![
        proptest::sample::select(traps.to_vec()).prop_map(str::to_owned),
        any::<String>(),
        "[a-z_]{1,8}",
        // Longer than a line.
        "[ -~]{90,200}",
    ]
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |f| f.is_finite()).prop_map(Value::from),
        (0_i32..100).prop_map(|percent| Value::from(f64::from(percent) / 100.0)),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let entries = proptest::collection::vec((texts(), inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(Value::from),
            entries.prop_map(|entries| Value::Object(Map::from_iter(entries))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_written_is_read_back_bit_by_bit(document in documents()) {
        for format in [Format::Yaml, Format::Json] {
            let text = format.write(&document).unwrap();
            // As text, because -0.0 equals 0.0.
            let read = format.read(&text).map(|read| read.to_string());
            prop_assert_eq!(read, Ok(document.to_string()), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in texts()) {
        let _ = Format::Yaml.read(&text);
    }
}
