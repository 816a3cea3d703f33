//! Finds many texts as whole words, in any case and spacing, in one pass over a document.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use regex_syntax::is_word_character;

/// The texts, each with those who look for it.
pub(super) struct Words<T> {
    /// By their first two bytes.
    texts: HashMap<[u8; 2], Vec<Text<T>>>,
    /// A bit for each two bytes that a text may begin with: most words are passed over by it.
    beginnings: Vec<u64>,
}

struct Text<T> {
    folded: String,
    owners: Vec<T>,
}

impl<T: Copy> Words<T> {
    /// Takes pairs of a text, which is not blank, and a tag that its hits will carry.
    pub(super) fn new<'a>(texts: impl Iterator<Item = (&'a str, T)>) -> Self {
        let mut words = Self { texts: HashMap::new(), beginnings: Vec::new() };
        for (text, owner) in texts {
            words.add(Folded::new(text.trim()).text, owner);
        }
        words
    }

    fn add(&mut self, folded: String, owner: T) {
        match folded.as_bytes() {
            // Anything may stand behind a text of one byte.
            &[only] => (0..=u8::MAX).for_each(|second| self.allow([only, second])),
            bytes => self.allow(beginning(bytes)),
        }
        let alike = self.texts.entry(beginning(folded.as_bytes())).or_default();
        match alike.iter_mut().find(|text| text.folded == folded) {
            Some(text) => text.owners.push(owner),
            None => alike.push(Text { folded, owners: vec![owner] }),
        }
    }

    fn allow(&mut self, beginning: [u8; 2]) {
        let bit = usize::from(u16::from_le_bytes(beginning));
        self.beginnings.resize(1 << 10, 0);
        self.beginnings[bit / 64] |= 1 << (bit % 64);
    }

    /// The tag and the place of every text that stands there as whole words, by where they begin.
    pub(super) fn iter<'a>(
        &'a self,
        document: &'a Folded<'a>,
    ) -> impl Iterator<Item = (T, Range<usize>)> + 'a {
        let mut is_inside_word = false;
        let begins = move |&(start, c): &(usize, char)| {
            let begins = !is_inside_word && self.may_begin(&document.text.as_bytes()[start..]);
            is_inside_word = is_word(c);
            begins
        };
        document.text.char_indices().filter(begins).flat_map(move |(start, _)| {
            self.texts_at(&document.text[start..]).flat_map(move |text| {
                let place = document.place(start..start + text.folded.len());
                text.owners.iter().map(move |&owner| (owner, place.clone()))
            })
        })
    }

    fn may_begin(&self, bytes: &[u8]) -> bool {
        let bit = usize::from(u16::from_le_bytes(beginning(bytes)));
        self.beginnings.get(bit / 64).is_some_and(|bits| bits & 1 << (bit % 64) != 0)
    }

    /// The texts that `rest` begins with, and behind which no word goes on.
    fn texts_at<'a>(&'a self, rest: &'a str) -> impl Iterator<Item = &'a Text<T>> {
        let long = beginning(rest.as_bytes());
        let short = [long[0], 0];
        let keys = [Some(long), Some(short).filter(|short| *short != long)];
        let texts = keys.into_iter().flatten().filter_map(|key| self.texts.get(&key)).flatten();
        texts.filter(move |text| {
            let behind = rest.strip_prefix(text.folded.as_str());
            behind.is_some_and(|behind| !behind.starts_with(is_word))
        })
    }
}

/// The first two bytes; behind the end stands a zero.
fn beginning(bytes: &[u8]) -> [u8; 2] {
    [bytes.first().copied().unwrap_or(0), bytes.get(1).copied().unwrap_or(0)]
}

fn is_word(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { is_word_character(c) }
}

/// A text in one case, each run of white space as one space.
pub(super) struct Folded<'a> {
    pub(super) original: &'a str,
    text: String,
    /// Where its bytes come from, once a hit asks.
    offsets: OnceCell<Vec<usize>>,
    /// Whether each byte stands where it came from.
    is_in_place: bool,
}

impl<'a> Folded<'a> {
    pub(super) fn new(original: &'a str) -> Self {
        let text = original;
        let is_in_place =
            text.is_ascii() && !text.contains("  ") && text.bytes().all(|byte| byte >= b' ');
        let text = if is_in_place { text.to_ascii_lowercase() } else { fold(text) };
        Self { original, text, offsets: OnceCell::new(), is_in_place }
    }

    /// Where in the original the place is.
    fn place(&self, place: Range<usize>) -> Range<usize> {
        if self.is_in_place {
            return place;
        }
        let offsets = self.offsets.get_or_init(|| offsets_of(self.original));
        offsets[place.start]..offsets[place.end]
    }
}

fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    each_folded(text, |_, c| folded.push(c));
    folded
}

/// For each byte of the folded text, and for its end, the byte of `text` that it came from.
fn offsets_of(text: &str) -> Vec<usize> {
    let mut offsets = Vec::with_capacity(text.len() + 1);
    each_folded(text, |offset, c| offsets.extend(std::iter::repeat_n(offset, c.len_utf8())));
    offsets.push(text.len());
    offsets
}

fn each_folded(text: &str, mut push: impl FnMut(usize, char)) {
    let mut is_in_space = false;
    for (offset, c) in text.char_indices() {
        // Nearly every character is one of these.
        if c.is_ascii_graphic() {
            push(offset, c.to_ascii_lowercase());
            is_in_space = false;
        } else if !c.is_whitespace() {
            push(offset, fold_char(c));
            is_in_space = false;
        } else if !std::mem::replace(&mut is_in_space, true) {
            push(offset, ' ');
        }
    }
}

/// Unicode's simple case folding, up to which character stands for those of one class.
fn fold_char(c: char) -> char {
    match c {
        _ if c.is_ascii() => c.to_ascii_lowercase(),
        // Upper case would make an `I` of the dotless `ı`, which no other letter is a case of.
        'ı' => c,
        // These have no upper case in one character.
        '\u{1FD3}' => '\u{390}',
        '\u{1FE3}' => '\u{3B0}',
        '\u{FB05}' => '\u{FB06}',
        _ => {
            let upper = only(c.to_uppercase()).unwrap_or(c);
            only(upper.to_lowercase()).unwrap_or(upper)
        }
    }
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    fn found(texts: &[&'static str], text: &str) -> Vec<(&'static str, Range<usize>)> {
        let words = Words::new(texts.iter().map(|&text| (text, text)));
        let mut found: Vec<_> = words.iter(&Folded::new(text)).collect();
        found.sort_by_key(|(text, place): &(_, Range<usize>)| (*text, place.start));
        found
    }

    #[test]
    fn texts_of_any_length_are_found_wherever_they_stand_alone() {
        let texts = ["x", "xy", "é", "@me", "a b", "a b c", "🍺"];
        assert_eq!(found(&texts, "x"), [("x", 0..1)]);
        assert_eq!(found(&texts, "X, xy.x_ zx x\0"), [("x", 0..1), ("x", 12..13), ("xy", 3..5)]);
        assert_eq!(found(&texts, "é@me @ME @mess"), [("@me", 6..9), ("é", 0..2)]);
        assert_eq!(found(&texts, "(a\t\nb  c)"), [("a b", 1..5), ("a b c", 1..8)]);
        assert_eq!(found(&texts, "🍺🍺a 🍺"), [("🍺", 0..4), ("🍺", 10..14)]);
    }

    #[test]
    fn characters_fold_alike_when_unicode_says_that_they_are_cases_of_one_another() {
        assert_ne!(fold_char('ı'), fold_char('i'));
        for c in '\0'..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            let cases: Vec<char> =
                class.iter().flat_map(|range| range.start()..=range.end()).collect();
            // A character without other cases there may be one newer than that table.
            let is_known = cases.len() > 1;
            assert!(!is_known || cases.contains(&fold_char(c)), "{c:?} is {:?}", fold_char(c));
            for case in cases {
                assert_eq!(fold_char(case), fold_char(c), "{case:?} and {c:?}");
            }
        }
    }

    #[test]
    fn offsets_lead_back_to_the_text_as_it_was() {
        let text = "a \t ẞ🍷\u{212A}x";
        let (folded, offsets) = (fold(text), offsets_of(text));
        assert_eq!(folded, "a ß🍷kx");
        let place = |part: &str| {
            let start = folded.find(part).unwrap();
            &text[offsets[start]..offsets[start + part.len()]]
        };
        assert_eq!(
            (place("ß"), place("k"), place("x"), place(" ")),
            ("ẞ", "\u{212A}", "x", " \t ")
        );
    }
}
