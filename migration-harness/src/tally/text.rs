//! What a text is like: how long, in which scripts, with what in it.

use crate::tally::features::bucket;

/// Ends of the ranges that lengths are told apart by, in characters.
const LENGTHS: [usize; 4] = [20, 100, 500, 2_000];

/// What was seen of a text that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Text {
    chars: usize,
    words: usize,
    /// A bit for each of what it may hold.
    seen: u32,
}

/// What a text may hold.
#[derive(Debug, Clone, Copy)]
enum Held {
    Latin,
    Cyrillic,
    Greek,
    Hebrew,
    Arabic,
    Devanagari,
    Thai,
    Cjk,
    Hangul,
    Emoji,
    Combining,
    NonAscii,
    Digit,
    Control,
    LineBreak,
    UnusualSpace,
    RepeatedSpace,
    SpaceAtEnd,
    Url,
    Html,
}

/// In words, in the same order.
const NAMES: [&str; 20] = [
    "Latin",
    "Cyrillic",
    "Greek",
    "Hebrew",
    "Arabic",
    "Devanagari",
    "Thai",
    "CJK",
    "Hangul",
    "emoji",
    "combining marks",
    "non-ASCII",
    "digits",
    "control characters",
    "line breaks",
    "unusual white space",
    "repeated white space",
    "white space at an end",
    "a URL",
    "HTML",
];

impl Text {
    /// Adds a piece.
    pub(crate) fn add(&mut self, piece: &str) {
        let mut last = ' ';
        for (position, c) in piece.chars().enumerate() {
            self.chars += 1;
            self.add_char(c);
            let is_word = !c.is_whitespace() && last.is_whitespace();
            self.words += usize::from(is_word);
            if position > 0 && c.is_whitespace() && last.is_whitespace() {
                self.see(Held::RepeatedSpace);
            }
            last = c;
        }
        if piece.starts_with(char::is_whitespace) || piece.ends_with(char::is_whitespace) {
            self.see(Held::SpaceAtEnd);
        }
        if piece.contains("://") || piece.contains("www.") {
            self.see(Held::Url);
        }
        if piece.contains("</") || piece.contains("/>") || piece.contains("<br") {
            self.see(Held::Html);
        }
    }

    /// In words.
    pub(crate) fn features(&self) -> Vec<String> {
        if self.chars == 0 {
            return vec!["text: empty".to_owned()];
        }
        let mut features = vec![format!("text: {} characters", bucket(self.chars, &LENGTHS))];
        if self.words == 0 {
            features.push("text: white space only".to_owned());
        } else if self.words == 1 {
            features.push("text: one word".to_owned());
        }
        let held = NAMES.iter().enumerate().filter(|(bit, _)| self.seen & 1 << bit != 0);
        features.extend(held.map(|(_, name)| format!("text: {name}")));
        features
    }

    fn add_char(&mut self, c: char) {
        match c {
            'a'..='z' | 'A'..='Z' => self.see(Held::Latin),
            '0'..='9' => self.see(Held::Digit),
            '\n' | '\r' => self.see(Held::LineBreak),
            '\t' | '\u{b}' | '\u{c}' => self.see(Held::UnusualSpace),
            _ if c.is_ascii() => {
                if c.is_ascii_control() {
                    self.see(Held::Control);
                }
            }
            _ => {
                self.see(Held::NonAscii);
                if let Some(held) = script(c) {
                    self.see(held);
                }
            }
        }
    }

    fn see(&mut self, held: Held) {
        self.seen |= 1 << held as u32;
    }
}

/// The script of a character beyond ASCII, as far as it is told apart; the blocks of the Unicode
/// Standard.
fn script(c: char) -> Option<Held> {
    Some(match u32::from(c) {
        0x80..=0x9f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2069 | 0xfeff => Held::Control,
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => {
            Held::UnusualSpace
        }
        0xc0..=0x24f | 0x1e00..=0x1eff => Held::Latin,
        0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f => {
            Held::Combining
        }
        0x370..=0x3ff | 0x1f00..=0x1fff => Held::Greek,
        0x400..=0x52f => Held::Cyrillic,
        0x590..=0x5ff => Held::Hebrew,
        0x600..=0x6ff | 0x750..=0x77f | 0x8a0..=0x8ff | 0xfb50..=0xfdff | 0xfe70..=0xfefe => {
            Held::Arabic
        }
        0x900..=0x97f => Held::Devanagari,
        0xe00..=0xe7f => Held::Thai,
        0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => Held::Hangul,
        0x2e80..=0x2fff
        | 0x3001..=0x312f
        | 0x3190..=0x9fff
        | 0xf900..=0xfaff
        | 0x20000..=0x3ffff => Held::Cjk,
        0x2600..=0x27bf | 0x1f000..=0x1faff => Held::Emoji,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(pieces: &[&str]) -> Vec<String> {
        let mut text = Text::default();
        pieces.iter().for_each(|piece| text.add(piece));
        text.features()
    }

    #[test]
    fn scripts_are_told_apart() {
        for (piece, name) in [
            ("a", "Latin"),
            ("é", "Latin"),
            ("e\u{301}", "combining marks"),
            ("ж", "Cyrillic"),
            ("λ", "Greek"),
            ("שלום", "Hebrew"),
            ("سلام", "Arabic"),
            ("日本", "CJK"),
            ("ひらがな", "CJK"),
            ("한글", "Hangul"),
            ("👍", "emoji"),
            ("a\u{a0}b", "unusual white space"),
            ("a\u{202e}b", "control characters"),
            ("\0", "control characters"),
        ] {
            let found = features(&[piece]);
            assert!(found.contains(&format!("text: {name}")), "{piece}: {found:?}");
        }
        assert!(!features(&["a b"]).contains(&"text: non-ASCII".to_owned()));
    }

    #[test]
    fn what_a_text_holds_is_seen() {
        for (piece, name) in [
            ("see http://x.y", "a URL"),
            ("<p>a</p>", "HTML"),
            ("a  b", "repeated white space"),
            (" a", "white space at an end"),
            ("a\nb", "line breaks"),
            ("room 101", "digits"),
            ("word", "one word"),
            ("   ", "white space only"),
            ("a b", "1 to 20 characters"),
        ] {
            let found = features(&[piece]);
            assert!(found.contains(&format!("text: {name}")), "{piece}: {found:?}");
        }
    }

    #[test]
    fn pieces_make_one_text() {
        let found = features(&["a".repeat(15).as_str(), "", &"b".repeat(10)]);
        assert!(found.contains(&"text: 21 to 100 characters".to_owned()), "{found:?}");
        assert_eq!(features(&["", ""]), ["text: empty"]);
    }
}
