//! A line of a container's log: what it says, without the JSON that it may come in.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use tracing::Level;

use crate::resource_name::ResourceName;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogLine {
    /// How serious it is.
    level: Level,
    /// The message, and its other fields behind it.
    pub(super) text: String,
}

impl LogLine {
    /// Takes a line apart if it is a JSON object with a message; any other is the message itself.
    pub(super) fn parse(line: String) -> Self {
        let object = line.starts_with('{').then(|| serde_json::from_str(&line).ok()).flatten();
        object.and_then(structured).unwrap_or(Self { level: Level::INFO, text: line })
    }

    /// Logs it as a line of the endpoint's container.
    pub(super) fn forward(&self, endpoint: &ResourceName) {
        let text = &self.text;
        match self.level {
            Level::ERROR => tracing::error!(target: "container", %endpoint, "{text}"),
            Level::WARN => tracing::warn!(target: "container", %endpoint, "{text}"),
            Level::INFO => tracing::info!(target: "container", %endpoint, "{text}"),
            Level::DEBUG => tracing::debug!(target: "container", %endpoint, "{text}"),
            Level::TRACE => tracing::trace!(target: "container", %endpoint, "{text}"),
        }
    }
}

/// The form that Rust's `tracing` writes: `{"level": "INFO", "fields": {"message": "…", …}, …}`.
fn structured(mut line: Map<String, Value>) -> Option<LogLine> {
    let level = line.get("level")?.as_str()?.parse().ok()?;
    let Value::Object(mut fields) = line.remove("fields")? else {
        return None;
    };
    let Value::String(mut text) = fields.remove("message")? else {
        return None;
    };
    for (name, value) in fields {
        write!(text, " {name}={value}").ok()?;
    }
    Some(LogLine { level, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structured_line_keeps_its_level_and_all_of_its_fields() {
        let line = r#"{"timestamp":"2026-11-21T10:00:00Z","level":"WARN","fields":{"message":"slow","model":"spam","ms":7},"target":"x"}"#;
        let line = LogLine::parse(line.to_owned());
        assert_eq!(line, LogLine { level: Level::WARN, text: r#"slow model="spam" ms=7"#.into() });
    }

    #[test]
    fn any_other_line_is_passed_on_as_it_is() {
        for text in ["Traceback", "{", "{}", r#"{"level":"INFO"}"#, r#"{"level":7,"fields":{}}"#] {
            let line = LogLine::parse(text.to_owned());
            assert_eq!(line, LogLine { level: Level::INFO, text: text.to_owned() });
        }
    }
}
