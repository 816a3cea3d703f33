//! HTML that is made of the program's own tags and of escaped text.

use std::fmt::{self, Display, Write};

use serde_json::Value;

use crate::report::figures;

/// A piece of a page. Tags come from the program alone: only what is known when it is built is
/// taken as it is.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Adds markup of the program's own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, for an element or for an attribute in double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        write!(Escaped(&mut self.0), "{text}").expect("a string takes all that is written to it");
        self
    }

    /// Adds a name from outside, cut, and apart from the direction of what stands around it.
    pub(super) fn name(&mut self, name: &str, most: usize) -> &mut Self {
        self.raw("<bdi>").text(figures::short(name, most)).raw("</bdi>")
    }

    /// Adds a sentence in which code stands between backticks.
    pub(super) fn sentence(&mut self, sentence: &str) -> &mut Self {
        for (place, part) in sentence.split('`').enumerate() {
            if place.is_multiple_of(2) {
                self.text(part);
            } else {
                self.raw("<code>").text(part).raw("</code>");
            }
        }
        self
    }

    /// Adds data for a script element, which no text in it can end.
    pub(super) fn json(&mut self, data: &Value) -> &mut Self {
        for c in data.to_string().chars() {
            match c {
                // All of these are of the basic plane, where four digits are enough.
                c if matches!(c, '<' | '>' | '&') || figures::is_unseen(c) => {
                    self.0.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => self.0.push(c),
            }
        }
        self
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Writes text so that it is nothing else.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in figures::plain(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_nothing_but_text() {
        let mut markup = Markup::default();
        markup.raw("<b title=\"").text("\"><img onerror='x'>&\0").raw("\">");
        assert_eq!(
            markup.into_text(),
            "<b title=\"&quot;&gt;&lt;img onerror=&#39;x&#39;&gt;&amp;\\u{0}\">"
        );
    }

    #[test]
    fn data_can_not_end_its_element() {
        let mut markup = Markup::default();
        let data = json!({"</script>": "<!--\u{2028}&"});
        markup.json(&data);
        let text = markup.into_text();
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), data);
    }

    #[test]
    fn code_in_sentences_stands_out() {
        let mut markup = Markup::default();
        markup.sentence("say `--x <y>` now");
        assert_eq!(markup.into_text(), "say <code>--x &lt;y&gt;</code> now");
    }
}
