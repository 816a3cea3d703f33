//! Finds regular expressions in a document, those that can't be there left out in one pass.

use std::ops::Range;
use std::sync::OnceLock;

use super::words::{Folded, Words};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};

/// How much memory the patterns may take when they are compiled together, or one by itself.
const MAX_COMPILED_BYTES: usize = 64 << 20;

/// The patterns; each is compiled by itself when it may be in a document for the first time.
pub(super) struct Patterns {
    /// Matches wherever a pattern does, and sometimes else.
    ///
    /// It knows no word boundaries: next to letters outside of ASCII those would make a search of
    /// all patterns some hundred times slower.
    candidates: RegexSet,
    patterns: Vec<Pattern>,
}

struct Pattern {
    text: String,
    /// Texts that hide hits inside them.
    unless: Words<()>,
    compiled: OnceLock<Result<Regex, String>>,
}

impl Patterns {
    /// Compiles the patterns together, each with its exceptions; an error says which one it is about.
    pub(super) fn new(patterns: Vec<(String, Vec<String>)>) -> Result<Self, String> {
        let (texts, unless): (Vec<_>, Vec<_>) = patterns.into_iter().unzip();
        let candidates = RegexSetBuilder::new(all_loose(&texts)?)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| too_large(&texts).unwrap_or(error.to_string()))?;
        let patterns = texts.into_iter().zip(unless).map(|(text, unless)| Pattern {
            text,
            unless: Words::new(unless.iter().map(|text| (text.as_str(), ()))),
            compiled: OnceLock::new(),
        });
        let patterns = Self { candidates, patterns: patterns.collect() };
        patterns.refuse_empty()?;
        Ok(patterns)
    }

    /// Calls `hit` with the number and the place of every pattern found outside of its exceptions,
    /// of each at most `limit`.
    pub(super) fn find(
        &self,
        document: &Folded<'_>,
        limit: usize,
        mut hit: impl FnMut(usize, Range<usize>),
    ) -> Result<(), String> {
        // Whether there is any is quicker to tell than which.
        if !self.candidates.is_match(document.original) {
            return Ok(());
        }
        for index in self.candidates.matches(document.original) {
            let found = self.patterns[index].find(document)?;
            found.take(limit).for_each(|found| hit(index, found));
        }
        Ok(())
    }

    fn refuse_empty(&self) -> Result<(), String> {
        for index in self.candidates.matches("") {
            let Pattern { text, .. } = &self.patterns[index];
            if self.patterns[index].regex()?.is_match("") {
                return Err(format!("term `{text}` matches the empty text"));
            }
        }
        Ok(())
    }
}

impl Pattern {
    /// Both hits and exceptions come in the text's order, so one pass over each is enough.
    fn find<'a>(
        &'a self,
        document: &'a Folded<'a>,
    ) -> Result<impl Iterator<Item = Range<usize>> + 'a, String> {
        let hits = self.regex()?.find_iter(document.original).map(|hit| hit.range());
        let mut exceptions = self.unless.iter(document).map(|((), place)| place).peekable();
        let mut covered = 0;
        Ok(hits.filter(move |hit| {
            while let Some(begun) = exceptions.next_if(|exception| exception.start <= hit.start) {
                covered = covered.max(begun.end);
            }
            !hit.is_empty() && hit.end > covered
        }))
    }

    fn regex(&self) -> Result<&Regex, String> {
        self.compiled
            .get_or_init(|| compile(&self.text, MAX_COMPILED_BYTES))
            .as_ref()
            .map_err(Clone::clone)
    }
}

/// Names a pattern that is larger than its share, where they are too large together.
///
/// The set's own error does not say which; to look for it like this takes no longer than the set.
fn too_large(texts: &[String]) -> Option<String> {
    texts.iter().find_map(|text| compile(text, MAX_COMPILED_BYTES / texts.len()).err())
}

fn compile(text: &str, max_bytes: usize) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(max_bytes).build().map_err(|error| named(text, &error))
}

/// The patterns without their word boundaries, as long as they are not endless.
fn all_loose(texts: &[String]) -> Result<Vec<String>, String> {
    let mut bytes_left = MAX_COMPILED_BYTES;
    let loose = texts.iter().map(|text| {
        let loose = loose(text)?;
        // A class takes about as much written out as compiled.
        bytes_left = bytes_left.checked_sub(loose.len()).ok_or_else(|| {
            named(text, &format!("with it the patterns take over {MAX_COMPILED_BYTES} bytes"))
        })?;
        Ok(loose)
    });
    loose.collect()
}

/// The pattern without its word boundaries.
fn loose(text: &str) -> Result<String, String> {
    let hir = regex_syntax::parse(text).map_err(|error| named(text, &error))?;
    Ok(without_boundaries(&hir).to_string())
}

fn without_boundaries(hir: &Hir) -> Hir {
    let all = |subs: &[Hir]| subs.iter().map(without_boundaries).collect();
    match hir.kind() {
        HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF) => hir.clone(),
        HirKind::Look(_) => Hir::empty(),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(without_boundaries(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(Capture { sub, .. }) => without_boundaries(sub),
        HirKind::Concat(subs) => Hir::concat(all(subs)),
        HirKind::Alternation(subs) => Hir::alternation(all(subs)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
    }
}

fn named(text: &str, error: &impl std::fmt::Display) -> String {
    format!("term `{text}`: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Patterns, String> {
        Patterns::new(texts.into_iter().map(|text| (text.to_owned(), Vec::new())).collect())
    }

    #[test]
    fn word_boundaries_hold_though_candidates_do_not_know_them() {
        let patterns = patterns([r"\bale(s|\b)", r"^x\B"]).unwrap();
        let mut found = Vec::new();
        let document = Folded::new("xé ales, sale: ale");
        patterns.find(&document, 10, |index, place| found.push((index, place))).unwrap();
        assert_eq!(found, [(0, 4..8), (0, 16..19), (1, 0..1)]);
    }

    #[test]
    fn patterns_that_are_too_large_together_are_refused_before_they_are_compiled() {
        let texts = (0..10).map(|number| format!("{number}{}", r"\w".repeat(2000)));
        let error = patterns(texts.collect::<Vec<_>>().iter().map(String::as_str)).err().unwrap();
        assert!(error.contains("with it the patterns take over"), "{error}");
    }

    #[test]
    fn a_pattern_that_can_be_empty_is_refused() {
        for text in [r"a*", r"(\B)?", r"^"] {
            let error = patterns([text]).err().unwrap();
            assert!(error.contains("matches the empty text"), "{error}");
        }
        assert!(patterns([r"\b"]).is_ok());
    }
}
