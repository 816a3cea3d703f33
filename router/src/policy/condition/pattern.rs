//! The patterns of expressions: compiled to be checked, and again for the plans that use them; each
//! once, whoever has it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use regex_automata::MatchKind;
use regex_automata::hybrid::dfa::{Config, DFA};
use regex_automata::nfa::thompson::{BuildError, NFA, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::syntax;

use super::search::Search;
use super::walk;
use super::work::{Exhausted, Work};

/// What one compiled pattern may take when it is written.
const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// What one may take at all: those that are stored were accepted by other versions of the libraries.
const MAX_LOADED_BYTES: usize = 4 * MAX_PATTERN_BYTES;

/// What finds the places where a pattern may begin may take; without, every place is tried.
const MAX_PREFILTER_BYTES: usize = 32 * 1024;

/// What the states of one walk may take.
const MAX_WALK_BYTES: usize = 1024 * 1024;

const TOO_LARGE: &str = "this pattern takes too much memory; use smaller repetitions, and [0-9] or \
                         [a-z] in place of \\d or \\w";

/// A regular expression that is known to compile; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Arc<Known>);

#[derive(Debug)]
struct Known {
    text: Box<str>,
    bytes: usize,
    is_large: bool,
    /// As some plan has it; nothing where none does.
    compiled: Mutex<Weak<Compiled>>,
}

/// The patterns of all documents: equal ones are the same, which is compiled once however many
/// have it. All that reads documents needs them, where nothing can be handed down to.
static KNOWN: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Patterns {
    by_text: HashMap<Box<str>, Weak<Known>>,
    /// So many were in use when those in use were last counted.
    counted: usize,
}

impl Pattern {
    /// Refuses in words what is no pattern, or one that is far too large.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(known) = lock(&KNOWN).find(text) {
            return Ok(Self(known));
        }
        // The lock is not held meanwhile: others find theirs.
        let compiled = Compiled::new(text)?;
        let known = Known {
            text: text.into(),
            bytes: compiled.bytes(),
            is_large: compiled.nfa.memory_usage() > MAX_PATTERN_BYTES,
            compiled: Mutex::default(),
        };
        Ok(Self(lock(&KNOWN).add(known)))
    }

    /// What it takes when it is compiled.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// Refuses in words what is too large to be written, though not to be loaded.
    pub(super) fn check_size(&self) -> Result<(), String> {
        let Known { text, is_large, .. } = &*self.0;
        if *is_large { Err(format!("'{text}': {TOO_LARGE}")) } else { Ok(()) }
    }

    /// Itself compiled, unless some plan has it; others that need it wait.
    pub(super) fn compiled(&self) -> Arc<Compiled> {
        let mut kept = lock(&self.0.compiled);
        kept.upgrade().unwrap_or_else(|| {
            let compiled = Compiled::new(&self.0.text).expect("it did when it was read");
            let compiled = Arc::new(compiled);
            *kept = Arc::downgrade(&compiled);
            compiled
        })
    }
}

impl Patterns {
    fn find(&self, text: &str) -> Option<Arc<Known>> {
        self.by_text.get(text)?.upgrade()
    }

    fn add(&mut self, known: Known) -> Arc<Known> {
        // Somebody else may have been faster.
        if let Some(known) = self.find(&known.text) {
            return known;
        }
        if self.by_text.len() > 2 * self.counted {
            self.by_text.retain(|_, known| known.strong_count() > 0);
            self.counted = self.by_text.len();
        }
        let known = Arc::new(known);
        self.by_text.insert(known.text.clone(), Arc::downgrade(&known));
        known
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pattern as it is searched for.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) nfa: NFA,
    /// The same as an automaton that is in one state at a time, for the texts that it understands.
    /// It knows nothing of matches of no length, which may not be inside a character.
    dfa: Option<DFA>,
    /// Finds the places where a match may begin.
    pub(super) prefilter: Option<Prefilter>,
}

impl Compiled {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let tree = syntax::parse(text).map_err(|error| no_pattern(&error.to_string()))?;
        let config = NFA::config()
            .nfa_size_limit(Some(MAX_LOADED_BYTES))
            .which_captures(WhichCaptures::None);
        let nfa = NFA::compiler().configure(config).build_from_hir(&tree);
        let nfa = nfa.map_err(|error| too_large(&error))?;
        let prefilter = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &tree);
        let prefilter = prefilter.filter(|it| it.memory_usage() <= MAX_PREFILTER_BYTES);
        let config = Config::new()
            .unicode_word_boundary(true)
            .cache_capacity(MAX_WALK_BYTES)
            .skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa.clone());
        let dfa = dfa.ok().filter(|_| !nfa.has_empty());
        Ok(Self { nfa, dfa, prefilter })
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let prefilter = self.prefilter.as_ref().map_or(0, Prefilter::memory_usage);
        size_of::<Self>() + self.nfa.memory_usage() + prefilter
    }

    /// Whether it matches anywhere in the text.
    pub(super) fn is_in(&self, text: &str, work: &Work) -> Result<bool, Exhausted> {
        work.search(|steps| {
            let walked = match &self.dfa {
                Some(dfa) => walk::finds(dfa, text, steps)?,
                None => None,
            };
            match walked {
                Some(found) => Ok(found),
                None => Search::new(self, text, steps)?.finds(),
            }
        })
    }
}

fn no_pattern(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    format!("not a pattern: {}", last.trim_start_matches("error: "))
}

fn too_large(error: &BuildError) -> String {
    error.size_limit().map_or_else(|| no_pattern(&error.to_string()), |_| TOO_LARGE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_patterns_are_one_which_is_compiled_while_some_plan_has_it() {
        let [one, other] = [(); 2].map(|()| Pattern::parse("be+r").unwrap());
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let compiled = one.compiled();
        assert!(Arc::ptr_eq(&compiled, &other.compiled()));
        drop(compiled);
        assert!(lock(&one.0.compiled).upgrade().is_none());
        assert!(one.compiled().is_in("beer", &Work::with_patterns(1)).unwrap());
    }

    #[test]
    fn patterns_are_known_only_while_some_document_has_them() {
        let mut patterns = Patterns::default();
        let add = |patterns: &mut Patterns, text: &str| {
            let (bytes, is_large, compiled) = (1, false, Mutex::default());
            patterns.add(Known { text: text.into(), bytes, is_large, compiled })
        };
        let one = add(&mut patterns, "be+r");
        for i in 0..1_000 {
            drop(add(&mut patterns, &format!("{i}")));
        }
        assert!(patterns.by_text.len() <= 4);
        assert!(Arc::ptr_eq(&one, &add(&mut patterns, "be+r")));
    }

    #[test]
    fn what_is_too_large_to_be_written_can_be_loaded() {
        let of = |times: usize| Pattern::parse(&format!(r"\w{{{times}}}"));
        assert!(of(1).unwrap().check_size().is_ok());
        assert!(of(8).unwrap().check_size().unwrap_err().contains("takes too much memory"));
        assert!(of(99).unwrap_err().contains("takes too much memory"));
    }
}
