//! A list of terms with weights, for talk of alcohol, contact details or competitors' names.

mod words;
mod patterns;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use crate::Error;
use crate::document::Document;
use crate::model::{Finding, Model};
use crate::package::read_text;
use patterns::Patterns;
use words::{Folded, Words};

/// How large an artifact may be.
const MAX_BYTES: u64 = 4 << 20;
/// How many places are given as evidence at most.
const MAX_SPANS: usize = 100;
/// How long the text of a term or an exception may be.
const MAX_TEXT_BYTES: usize = 500;
/// How long a pattern may be; two bytes like `\w` become some ten thousand when it is parsed.
const MAX_PATTERN_BYTES: usize = 5000;

/// The compiled terms.
///
/// The score is 1 - Π(1 - weight) over the distinct terms found; the other label is `none`.
pub struct Lexicon {
    labels: [String; 2],
    weights: Vec<f64>,
    words: Words<Role>,
    patterns: Patterns,
    /// Which term each pattern is.
    pattern_terms: Vec<usize>,
}

/// What a text found in a document is for a term.
#[derive(Debug, Clone, Copy)]
struct Role {
    term: usize,
    /// Hides hits of its term inside it.
    is_exception: bool,
}

impl Lexicon {
    /// Reads and compiles the TOML file `path`.
    ///
    /// # Errors
    /// When the file is not of the documented form; the message names the term.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = read_text(path, MAX_BYTES)?;
        Self::parse(&text).map_err(|reason| Error::Artifact { artifact: path.to_owned(), reason })
    }

    /// Compiles the text of such a file.
    ///
    /// # Errors
    /// A sentence about what is not of the documented form, naming the term.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.label.is_empty() || file.label == "none" {
            return Err("`label` must be a word other than `none`".to_owned());
        }
        refuse_repeated(&file.terms)?;
        file.terms.iter().try_for_each(TermEntry::check)?;
        let terms = || file.terms.iter().enumerate();
        let pattern_terms = terms().filter(|(_, term)| term.pattern.is_some());
        let patterns =
            terms().filter_map(|(_, term)| Some((term.pattern.clone()?, term.unless.clone())));
        Ok(Self {
            weights: file.terms.iter().map(|term| term.weight).collect(),
            words: Words::new(terms().flat_map(|(index, term)| term.texts(index))),
            pattern_terms: pattern_terms.map(|(index, _)| index).collect(),
            patterns: Patterns::new(patterns.collect())?,
            labels: [file.label, "none".to_owned()],
        })
    }
}

impl Model for Lexicon {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn score(&self, document: &Document) -> Result<Finding, String> {
        let document = Folded::new(&document.text);
        let mut search = Search::default();
        self.words.iter(&document).for_each(|(role, place)| search.note(role, place));
        search.settle();
        self.patterns.find(&document, MAX_SPANS, |index, place| {
            search.found.entry(self.pattern_terms[index]).or_default().spans.push(place);
        })?;
        let found = search.found.into_iter().filter(|(_, found)| !found.spans.is_empty());
        let (mut spans, mut none) = (Vec::new(), 1.0);
        for (term, found) in found {
            none *= 1.0 - self.weights[term];
            spans.extend(found.spans);
        }
        spans.sort_by_key(|span| (span.start, span.end));
        spans.truncate(MAX_SPANS);
        Ok(Finding { scores: vec![1.0 - none, none], spans })
    }
}

/// What has been found of each term so far; of a long text no more is kept than is told.
#[derive(Default)]
struct Search {
    found: BTreeMap<usize, Found>,
    /// All that begins at one place: whether an exception does must be known before a hit counts.
    at: Vec<(Role, Range<usize>)>,
}

/// One term's hits outside of its exceptions.
#[derive(Default)]
struct Found {
    spans: Vec<Range<usize>>,
    /// Where the exceptions that have begun end.
    covered: usize,
}

impl Search {
    /// Takes a hit or an exception, which come in the order of where they begin.
    fn note(&mut self, role: Role, place: Range<usize>) {
        if self.at.first().is_some_and(|(_, first)| first.start != place.start) {
            self.settle();
        }
        self.at.push((role, place));
    }

    fn settle(&mut self) {
        self.at.sort_by_key(|(role, _)| !role.is_exception);
        for (role, place) in self.at.drain(..) {
            let found = self.found.entry(role.term).or_default();
            if role.is_exception {
                found.covered = found.covered.max(place.end);
            } else if place.end > found.covered && found.spans.len() < MAX_SPANS {
                found.spans.push(place);
            }
        }
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

    fn check(&self) -> Result<(), String> {
        if self.text.is_some() == self.pattern.is_some() {
            return Err("a term has either `text` or `pattern`".to_owned());
        }
        if !(self.weight > 0.0 && self.weight <= 1.0) {
            return Err(format!("term `{}`: `weight` must be above 0 and at most 1", self.name()));
        }
        let is_unfit = |text: &String| text.trim().is_empty() || text.len() > MAX_TEXT_BYTES;
        if self.text.iter().chain(&self.unless).any(is_unfit) {
            let limit = format!("must not be blank, nor over {MAX_TEXT_BYTES} bytes");
            return Err(format!("term `{}`: its texts {limit}", self.name()));
        }
        if self.pattern.as_ref().is_some_and(|pattern| pattern.len() > MAX_PATTERN_BYTES) {
            let start: String = self.name().chars().take(40).collect();
            return Err(format!(
                "term `{start}…`: a pattern has at most {MAX_PATTERN_BYTES} bytes"
            ));
        }
        Ok(())
    }

    /// What is searched as whole words: the term's own text and its exceptions, where it has one.
    fn texts(&self, term: usize) -> impl Iterator<Item = (&str, Role)> {
        let own = self.text.iter().map(|text| (text, false));
        let exceptions =
            self.unless.iter().filter(|_| self.text.is_some()).map(|text| (text, true));
        own.chain(exceptions)
            .map(move |(text, is_exception)| (text.as_str(), Role { term, is_exception }))
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
    fn however_many_exceptions_hide_a_pattern_the_hit_behind_them_counts() {
        let lexicon =
            "label = 'x'\n[[term]]\npattern = 'be+r'\nweight = 0.9\nunless = ['root beer']";
        let lexicon = Lexicon::parse(lexicon).unwrap();
        let text = "root beer ".repeat(300) + "beer";
        let finding = lexicon.score(&document(&text)).unwrap();
        assert_eq!((finding.scores[0], finding.spans.len()), (0.9, 1));
        assert_eq!(finding.spans[0], 3000..3004);
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
        let long = format!("pattern='{}'\nweight=1", r"\w".repeat(2501));
        assert!(fault(&long).unwrap().contains("at most 5000 bytes"));
        let large = r"pattern='((\w{99}){99}){99}'";
        let large = format!("pattern='a'\nweight=1\n[[term]]\n{large}\nweight=1");
        assert!(fault(&large).unwrap().contains(r"term `((\w{99}){99}){99}`: "));
        contains("text='a'\npattern='b'\nweight=1", "either");
        contains("text='a'\nweight=1\nextra=1", "unknown field `extra`");
    }
}
