//! Finds many texts as whole words, in any case and spacing, in one pass over a document.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_syntax::is_word_character;

/// Up to how much text the quickest automaton is worth its memory, some hundred times as much.
const SMALL_BYTES: usize = 32 << 10;

/// The texts, each with those who look for it.
pub(super) struct Words<T> {
    automaton: AhoCorasick,
    owners: Vec<Vec<T>>,
}

impl<T: Copy> Words<T> {
    /// Takes pairs of a text and a tag that its hits will carry.
    pub(super) fn new<'a>(texts: impl Iterator<Item = (&'a str, T)>) -> Result<Self, String> {
        let mut places = HashMap::new();
        let mut folded = Vec::new();
        let mut owners: Vec<Vec<T>> = Vec::new();
        for (text, owner) in texts {
            let place = *places.entry(Folded::new(text.trim()).text).or_insert_with_key(|text| {
                folded.push(text.clone());
                owners.push(Vec::new());
                owners.len() - 1
            });
            owners[place].push(owner);
        }
        let is_small = folded.iter().map(String::len).sum::<usize>() <= SMALL_BYTES;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(is_small.then_some(AhoCorasickKind::DFA))
            .build(folded);
        Ok(Self { automaton: automaton.map_err(|error| error.to_string())?, owners })
    }

    /// Calls `hit` with the tag and the place of every text that stands there as whole words.
    pub(super) fn find(&self, text: &str, mut hit: impl FnMut(T, Range<usize>)) {
        let folded = Folded::new(text);
        for found in self.automaton.find_overlapping_iter(&folded.text) {
            if !is_whole(&folded.text, found.range()) {
                continue;
            }
            let place = folded.place(text, found.range());
            for &owner in &self.owners[found.pattern().as_usize()] {
                hit(owner, place.clone());
            }
        }
    }
}

/// Whether no word goes on before or behind the place.
fn is_whole(text: &str, place: Range<usize>) -> bool {
    let before = text[..place.start].chars().next_back();
    let behind = text[place.end..].chars().next();
    !before.is_some_and(is_word) && !behind.is_some_and(is_word)
}

fn is_word(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { is_word_character(c) }
}

/// A text in one case, each run of white space as one space.
struct Folded {
    text: String,
    /// Where its bytes come from, once a hit asks.
    offsets: OnceCell<Vec<usize>>,
    /// Whether each byte stands where it came from.
    is_in_place: bool,
}

impl Folded {
    fn new(text: &str) -> Self {
        let is_in_place =
            text.is_ascii() && !text.contains("  ") && text.bytes().all(|byte| byte >= b' ');
        let text = if is_in_place { text.to_ascii_lowercase() } else { fold(text) };
        Self { text, offsets: OnceCell::new(), is_in_place }
    }

    /// Where in the `original` the place is.
    fn place(&self, original: &str, place: Range<usize>) -> Range<usize> {
        if self.is_in_place {
            return place;
        }
        let offsets = self.offsets.get_or_init(|| offsets_of(original));
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
