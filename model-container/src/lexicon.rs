//! A list of terms with weights, for talk of alcohol, contact details or competitors' names.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use crate::Error;
use crate::document::Document;
use crate::model::{Finding, Model};

/// How many places are given as evidence at most.
const MAX_SPANS: usize = 100;
/// How long the text of a term or an exception may be.
const MAX_TEXT_BYTES: usize = 500;
/// How much memory the terms may take when they are compiled together, or one by itself.
const MAX_COMPILED_BYTES: usize = 64 << 20;

/// The compiled terms.
///
/// The score is 1 - Π(1 - weight) over the distinct terms found; the other label is `none`.
pub struct Lexicon {
    labels: [String; 2],
    /// Tells in one pass which terms occur at all.
    any: RegexSet,
    terms: Vec<Term>,
}

/// One term; its own patterns are compiled when the set has found it for the first time.
struct Term {
    pattern: String,
    unless: Vec<String>,
    compiled: OnceLock<Result<Compiled, String>>,
    weight: f64,
}

struct Compiled {
    term: Regex,
    /// One pattern an exception: together they would hide each other where they overlap.
    unless: Vec<Regex>,
}

impl Lexicon {
    /// Reads and compiles the TOML file `path`.
    ///
    /// # Errors
    /// When the file is not of the documented form; the message names the term.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::read(path))?;
        Self::parse(&text).map_err(|reason| Error::Artifact { artifact: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.label.is_empty() || file.label == "none" {
            return Err("`label` must be a word other than `none`".to_owned());
        }
        refuse_repeated(&file.terms)?;
        let terms = file.terms.iter().map(TermEntry::check).collect::<Result<Vec<_>, _>>()?;
        let any = RegexSetBuilder::new(terms.iter().map(|term| &term.pattern))
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|error| first_fault(&file.terms, &terms).unwrap_or(error.to_string()))?;
        if let Some(index) = any.matches("").iter().next() {
            return Err(format!("term `{}` matches the empty text", file.terms[index].name()));
        }
        Ok(Self { labels: [file.label, "none".to_owned()], any, terms })
    }
}

impl Model for Lexicon {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn score(&self, document: &Document) -> Result<Finding, String> {
        let text = &document.text;
        let mut spans = Vec::new();
        let mut none = 1.0;
        for index in self.any.matches(text) {
            let term = &self.terms[index];
            let before = spans.len();
            spans.extend(term.find(text)?.take(MAX_SPANS));
            if spans.len() > before {
                none *= 1.0 - term.weight;
            }
        }
        spans.sort_by_key(|span| (span.start, span.end));
        spans.truncate(MAX_SPANS);
        Ok(Finding { scores: vec![1.0 - none, none], spans })
    }
}

impl Term {
    /// Where the term stands outside of its exceptions.
    fn find<'a>(
        &'a self,
        text: &'a str,
    ) -> Result<impl Iterator<Item = Range<usize>> + 'a, String> {
        let compiled = self.compiled.get_or_init(|| self.compile()).as_ref();
        let Compiled { term, unless } = compiled.map_err(Clone::clone)?;
        let exceptions = unless.iter().flat_map(|unless| unless.find_iter(text));
        let mut exceptions: Vec<_> = exceptions.map(|hit| hit.range()).collect();
        exceptions.sort_unstable_by_key(|exception| exception.start);
        let mut exceptions = exceptions.into_iter().peekable();
        let mut covered = 0;
        let hits = term.find_iter(text).map(|hit| hit.range()).filter(|hit| !hit.is_empty());
        // Both come in the text's order, so one pass over each is enough.
        Ok(hits.filter(move |hit| {
            while let Some(begun) = exceptions.next_if(|other| other.start <= hit.start) {
                covered = covered.max(begun.end);
            }
            hit.end > covered
        }))
    }

    fn compile(&self) -> Result<Compiled, String> {
        let unless = self.unless.iter().map(|unless| compile(unless));
        Ok(Compiled { term: compile(&self.pattern)?, unless: unless.collect::<Result<_, _>>()? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    label: String,
    #[serde(rename = "term")]
    terms: Vec<TermEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermEntry {
    text: Option<String>,
    pattern: Option<String>,
    weight: f64,
    #[serde(default)]
    unless: Vec<String>,
}

impl TermEntry {
    fn name(&self) -> &str {
        self.text.as_ref().or(self.pattern.as_ref()).map_or("", String::as_str)
    }

    fn check(&self) -> Result<Term, String> {
        let pattern = match (&self.text, &self.pattern) {
            (Some(text), None) => whole_words(text)?,
            (None, Some(pattern)) => pattern.clone(),
            _ => return Err("a term has either `text` or `pattern`".to_owned()),
        };
        if !(self.weight > 0.0 && self.weight <= 1.0) {
            return Err(format!("term `{}`: `weight` must be above 0 and at most 1", self.name()));
        }
        let unless =
            self.unless.iter().map(|text| whole_words(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Term { pattern, unless, compiled: OnceLock::new(), weight: self.weight })
    }
}

/// A term that stands twice would count twice.
fn refuse_repeated(terms: &[TermEntry]) -> Result<(), String> {
    let mut seen = HashSet::new();
    match terms.iter().find(|term| !seen.insert(term.name().to_lowercase())) {
        Some(term) => Err(format!("term `{}` stands twice", term.name())),
        None => Ok(()),
    }
}

/// The set's own error does not say which term it is about.
fn first_fault(entries: &[TermEntry], terms: &[Term]) -> Option<String> {
    let mut entries = entries.iter().zip(terms);
    entries.find_map(|(entry, term)| {
        let error = compile(&term.pattern).err()?;
        Some(format!("term `{}`: {error}", entry.name()))
    })
}

/// A pattern for a text as whole words in any case, with any white space between them.
fn whole_words(text: &str) -> Result<String, String> {
    let words: Vec<_> = text.split_whitespace().map(regex::escape).collect();
    if words.is_empty() || text.len() > MAX_TEXT_BYTES {
        return Err(format!("a term's text must not be blank, nor over {MAX_TEXT_BYTES} bytes"));
    }
    Ok(format!(r"\b{{start-half}}(?i:{})\b{{end-half}}", words.join(r"\s+")))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(MAX_COMPILED_BYTES).build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Input;

    const DRINKS: &str = "
        label = 'alcohol'
        [[term]]
        text = 'beer'
        weight = 0.5
        unless = ['root beer', 'ginger beer']
        [[term]]
        text = 'Grüner  Veltliner'
        weight = 0.8
        [[term]]
        pattern = '[0-9]+ ?% (abv|vol)'
        weight = 1.0
    ";

    fn document(text: &str) -> Document {
        Document::of_text(&Input::default(), text).unwrap()
    }

    fn score(text: &str) -> (f64, Vec<Range<usize>>) {
        let finding = Lexicon::parse(DRINKS).unwrap().score(&document(text)).unwrap();
        assert_eq!(finding.scores[0], 1.0 - finding.scores[1]);
        (finding.scores[0], finding.spans)
    }

    #[test]
    fn the_score_combines_the_distinct_terms_found() {
        assert_eq!(score("no drinks"), (0.0, vec![]));
        assert_eq!(score("beer, beer"), (0.5, vec![0..4, 6..10]));
        assert_eq!(score("beer or grüner veltliner").0, 1.0 - 0.5 * (1.0 - 0.8));
        assert_eq!(score("5% vol").0, 1.0);
    }

    #[test]
    fn a_text_matches_whole_words_in_any_case_and_spacing() {
        assert_eq!(score("BEER!").0, 0.5);
        assert_eq!(score("GRÜNER\n VELTLINER").0, 0.8);
        assert_eq!(score("beers beerish übeer").0, 0.0);
    }

    #[test]
    fn an_exception_hides_only_the_words_inside_it() {
        assert_eq!(score("Root beer and ginger  beer").0, 0.0);
        let (score, spans) = score("root beer, then a beer");
        assert_eq!((score, spans.len(), spans[0].clone()), (0.5, 1, 18..22));
    }

    #[test]
    fn exceptions_that_overlap_do_not_hide_each_other() {
        let lexicon = "label = 'x'\n[[term]]\ntext = 'beer'\nweight = 0.5\n
                       unless = ['ginger', 'ginger beer', 'root beer', 'birch root']";
        let lexicon = Lexicon::parse(lexicon).unwrap();
        for (text, score) in [("ginger beer", 0.0), ("birch root beer", 0.0), ("ginger, beer", 0.5)]
        {
            assert_eq!(lexicon.score(&document(text)).unwrap().scores[0], score, "{text}");
        }
    }

    #[test]
    fn exceptions_are_as_quick_to_find_as_terms() {
        let long = "root beer ".repeat(20_000);
        assert_eq!(score(&long).0, 0.0);
        assert_eq!(score(&(long + "beer")).1.len(), 1);
    }

    #[test]
    fn faults_name_the_term() {
        let fault = |term: &str| Lexicon::parse(&format!("label='x'\n[[term]]\n{term}")).err();
        let contains = |term, part| assert!(fault(term).unwrap().contains(part), "{term}");
        contains("text='a'\nweight=0", "term `a`: `weight`");
        contains("text='a'\nweight=1.5", "term `a`: `weight`");
        contains("pattern='('\nweight=1", "term `(`: regex parse error");
        contains("text='a'\nweight=1\n[[term]]\ntext='A'\nweight=1", "term `A` stands twice");
        contains("pattern='a*'\nweight=1", "term `a*` matches the empty text");
        contains("text=' '\nweight=1", "blank");
        let long = format!("text='a'\nweight=1\nunless=['{}']", "x".repeat(501));
        assert!(fault(&long).unwrap().contains("over 500 bytes"));
        contains("text='a'\npattern='b'\nweight=1", "either");
        contains("text='a'\nweight=1\nextra=1", "unknown field `extra`");
    }
}
