//! Text for a person's terminal or for a log, in which nothing from outside does anything.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// Writes a line to standard output; a closed one is no reason to stop half-way.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes a line to standard error, which may be closed as well.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A value as JSON on one line.
pub(super) fn json(value: &Value) -> String {
    plain(&value.to_string())
}

/// The text without line breaks, commands to the terminal, or marks that turn its direction.
pub(super) fn plain(text: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The same, with its line breaks: for text of several lines.
pub(super) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Whether to colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// Colours on a terminal, unless NO_COLOR is set.
    pub(super) fn of_standard_output() -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self(io::stdout().is_terminal() && !forbidden && !is_dumb)
    }

    /// Never colours.
    #[cfg(test)]
    pub(super) fn off() -> Self {
        Self(false)
    }

    /// What is new.
    pub(super) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is gone.
    pub(super) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// What is changed.
    pub(super) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_can_not_command_a_terminal() {
        assert_eq!(plain("a\x1b[31m\u{9b}é\n\u{202e}"), "a\\u{1b}[31m\\u{9b}é\\n\\u{202e}");
        assert_eq!(plain_lines("a\x07\nb"), "a\\u{7}\nb");
        assert_eq!(json(&serde_json::json!("a\u{85}")), "\"a\\u{85}\"");
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        assert_eq!(Paint::off().red("x"), "x");
        assert_eq!(Paint(true).red("x"), "\x1b[31mx\x1b[0m");
    }
}
