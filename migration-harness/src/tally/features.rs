//! What a call is like, in words: the text in its request, its fields, the old answer.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use crate::compare::Form;
use crate::record::Record;
use crate::tally::text::Text;

/// How many different features are told apart.
const MAX_FEATURES: usize = 4_096;
/// How much of a body is looked at.
const MAX_BODY_BYTES: usize = 64 << 10;
/// How many fields of a request count.
const MAX_FIELDS: usize = 32;
/// How long a name from outside may be.
const MAX_NAME_CHARS: usize = 100;
/// What the feature of a field begins with; its absence is one too.
const FIELD: &str = "request has ";

/// Features by number, so that counting them takes little.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Dictionary {
    /// The numbers of what the call is like, each once.
    pub(crate) fn of(&mut self, record: &Record) -> Vec<u32> {
        let names = of(record);
        let mut numbers: Vec<_> = names.iter().filter_map(|name| self.number(name)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The feature's number; none for a new one where there are too many.
    pub(crate) fn number(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.names.len() >= MAX_FEATURES {
            return None;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        Some(number)
    }

    /// The features, by their numbers.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

/// What the absence of a feature says, for those whose absence says something.
pub(crate) fn absence(name: &str) -> Option<String> {
    Some(format!("request lacks {}", name.strip_prefix(FIELD)?))
}

/// What the call is like.
fn of(record: &Record) -> Vec<String> {
    let mut features = Vec::new();
    if let Some(client) = &record.client {
        features.push(format!("client {}", short(client)));
    }
    add_request(&mut features, record);
    add_old_answer(&mut features, record);
    features
}

fn add_request(features: &mut Vec<String>, record: &Record) {
    let request = &record.request;
    let media_type = media_type(request.content_type.as_deref());
    features.push(match media_type.as_str() {
        "" => "no content type".to_owned(),
        media_type => format!("content type {}", short(media_type)),
    });
    let body = &request.body[..request.body.len().min(MAX_BODY_BYTES)];
    let Ok(body) = std::str::from_utf8(body).or_else(|error| {
        // Where a long body is cut, it may be within a character.
        std::str::from_utf8(
            &body[..if error.error_len().is_none() { error.valid_up_to() } else { 0 }],
        )
    }) else {
        return;
    };
    let values = match Form::of_media_type(&media_type) {
        Form::Json => parse(body.as_bytes()).into_iter().collect(),
        Form::Lines => lines(body),
        _ => Vec::new(),
    };
    let mut text = Text::default();
    if values.is_empty() {
        if body.is_empty() && !request.body.is_empty() {
            features.push("text: not UTF-8".to_owned());
            return;
        }
        text.add(body);
    }
    values.iter().for_each(|value| add_strings(&mut text, value));
    add_fields(features, &values);
    features.extend(text.features());
}

/// The values of the lines; none where one isn't JSON.
fn lines(body: &str) -> Vec<Value> {
    let lines = body.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| parse(line.as_bytes())).collect::<Option<_>>().unwrap_or_default()
}

fn add_fields(features: &mut Vec<String>, values: &[Value]) {
    let objects = values.iter().filter_map(Value::as_object);
    let members: BTreeSet<_> = objects.flat_map(|object| object.keys()).collect();
    if values.len() > 1 {
        features.push(format!("request of {} lines", bucket(values.len(), &[9, 99, 999])));
    } else if let Some(Value::Object(object)) = values.first() {
        features.push(format!("request of {} members", object.len().min(MAX_FIELDS)));
    }
    for name in members.into_iter().take(MAX_FIELDS) {
        features.push(format!("{FIELD}`/{}`", short(name)));
    }
}

/// The text of a request is the strings in it, and not their names.
fn add_strings(text: &mut Text, value: &Value) {
    match value {
        Value::String(string) => text.add(string),
        Value::Array(elements) => elements.iter().for_each(|value| add_strings(text, value)),
        Value::Object(members) => members.values().for_each(|value| add_strings(text, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add_old_answer(features: &mut Vec<String>, record: &Record) {
    let Ok(answer) = &record.reply.answer else {
        features.push("no old answer".to_owned());
        return;
    };
    features.push(format!("old status {}", answer.status));
    if answer.body.len() > MAX_BODY_BYTES {
        return;
    }
    let value = match Form::of(answer) {
        Form::Json => parse(&answer.body),
        Form::Lines => answer.body.split(|byte| *byte == b'\n').next().and_then(parse),
        _ => None,
    };
    let Some(value) = value else { return };
    let prediction = value.pointer("/predictions/0").unwrap_or(&value);
    if let Some(label) = prediction.get("label").and_then(Value::as_str) {
        features.push(format!("old label {}", short(label)));
    }
    if let Some(score) = prediction.get("score").and_then(Value::as_f64)
        && (0.0..=1.0).contains(&score)
    {
        let tenth = ((score * 10.0) as u32).min(9);
        features.push(format!("old score from 0.{tenth} to {:.1}", f64::from(tenth + 1) / 10.0));
    }
}

/// The value, if it is JSON; only what it is like counts here, not its last digit.
fn parse(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// The media type in lower case, without parameters.
fn media_type(content_type: Option<&str>) -> String {
    let content_type = content_type.unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The number, or the range between two of the limits that it is in.
pub(crate) fn bucket(number: usize, limits: &[usize]) -> String {
    let mut from = 1;
    for limit in limits {
        if number <= *limit {
            return format!("{from} to {limit}");
        }
        from = limit + 1;
    }
    format!("{from} or more")
}

fn short(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    fn features(content_type: &str, body: &'static str) -> Vec<String> {
        let mut record = record("1", "spam", "toybox", body);
        record.request.content_type = Some(content_type.to_owned());
        of(&record)
    }

    fn assert_has(features: &[String], expected: &[&str]) {
        for name in expected {
            assert!(features.iter().any(|feature| feature == name), "{name}: {features:?}");
        }
    }

    #[test]
    fn a_request_of_fields_has_them_and_their_text() {
        let body = r#"{"text": "\u043f\u0440\u0438\u0432\u0435\u0442 😀", "rating": 5}"#;
        let found = features("application/json; charset=utf-8", body);
        assert_has(
            &found,
            &[
                "client toybox",
                "content type application/json",
                "request of 2 members",
                "request has `/rating`",
                "request has `/text`",
                "text: Cyrillic",
                "text: emoji",
                "text: 1 to 20 characters",
                "old status 200",
            ],
        );
        assert_eq!(absence("request has `/title`").unwrap(), "request lacks `/title`");
        assert_eq!(absence("client toybox"), None);
    }

    #[test]
    fn lines_and_plain_text_are_looked_into_and_names_are_no_text() {
        let found = features("application/jsonlines", "{\"a\": \"x\"}\n{\"日本\": \"1\"}\n");
        assert_has(&found, &["request of 1 to 9 lines", "request has `/日本`", "text: digits"]);
        assert!(!found.iter().any(|name| name == "text: CJK"), "{found:?}");
        assert_has(&features("text/plain", ""), &["text: empty"]);
        assert_has(&features("application/json", "{\"a"), &["text: 1 to 20 characters"]);
    }

    #[test]
    fn label_and_score_of_the_old_answer_count() {
        let mut record = record("1", "spam", "toybox", "x");
        let answer = record.reply.answer.as_mut().unwrap();
        answer.content_type = Some("application/jsonlines".to_owned());
        answer.body = "{\"label\": \"ham\", \"score\": 1.0}\n{\"label\": \"spam\"}\n".into();
        assert_has(&of(&record), &["old label ham", "old score from 0.9 to 1.0"]);
        record.reply.answer = Err("timed out".to_owned());
        record.request.body = bytes::Bytes::from_static(b"\xff");
        assert_has(&of(&record), &["no old answer", "text: not UTF-8"]);
    }

    #[test]
    fn endless_features_and_names_are_cut() {
        let mut dictionary = Dictionary::default();
        for number in 0..2 * MAX_FEATURES {
            dictionary.number(&format!("client {number}"));
        }
        assert_eq!(dictionary.names().len(), MAX_FEATURES);
        assert_eq!(short(&"ä".repeat(1_000)).chars().count(), MAX_NAME_CHARS + 1);
    }
}
