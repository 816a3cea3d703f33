//! Searches a text for a pattern in counted steps.
//!
//! For what a walk is given up on, as for letters beyond ASCII around a word's end. The regex crate
//! can't be stopped: a few patterns with many repetitions keep it busy for seconds. This follows its
//! automata, all ways through one side by side.

use std::mem;

use regex_automata::Span;
use regex_automata::nfa::thompson::State;
use regex_automata::util::primitives::StateID;

use super::pattern::Compiled;
use super::work::{Exhausted, Steps};

/// What a prefilter takes however near the place that it finds.
const PREFILTER: usize = 4;

/// How many bytes it looks at in the time of a step.
const PREFILTERED_BYTES: usize = 2;

/// How many transitions of a state are looked at in the time of a step.
const TRANSITIONS: usize = 8;

/// One search of one text.
pub(super) struct Search<'a> {
    pattern: &'a Compiled,
    text: &'a str,
    steps: &'a mut Steps,
    /// For each state, one more than the place at which it was entered last.
    entered: Vec<usize>,
    /// The states that wait for the next byte.
    waiting: Vec<StateID>,
    /// Room for those that wait for the byte after it.
    spare: Vec<StateID>,
    /// The states that are yet to be entered.
    open: Vec<StateID>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        pattern: &'a Compiled,
        text: &'a str,
        steps: &'a mut Steps,
    ) -> Result<Self, Exhausted> {
        let states = pattern.nfa.states().len();
        steps.take(1 + states / TRANSITIONS)?;
        let (waiting, spare, open) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { pattern, text, steps, entered: vec![0; states], waiting, spare, open })
    }

    /// Whether the pattern matches anywhere.
    pub(super) fn finds(mut self) -> Result<bool, Exhausted> {
        let mut next = self.go_on(0)?;
        while let Some(at) = next {
            if self.may_begin(at) && self.enter(self.pattern.nfa.start_anchored(), at)? {
                return Ok(true);
            }
            let Some(byte) = self.text.as_bytes().get(at) else { return Ok(false) };
            if self.read(*byte, at)? {
                return Ok(true);
            }
            next = self.go_on(at + 1)?;
        }
        Ok(false)
    }

    /// The next place, from `at` on, where anything happens.
    fn go_on(&mut self, at: usize) -> Result<Option<usize>, Exhausted> {
        self.steps.take(1)?;
        if !self.waiting.is_empty() {
            return Ok(Some(at));
        }
        if at > 0 && self.pattern.nfa.is_always_start_anchored() {
            return Ok(None);
        }
        let Some(prefilter) = &self.pattern.prefilter else { return Ok(Some(at)) };
        let rest = Span { start: at, end: self.text.len() };
        let found = prefilter.find(self.text.as_bytes(), rest).map(|found| found.start);
        self.steps.take(PREFILTER + (found.unwrap_or(rest.end) - at) / PREFILTERED_BYTES)?;
        Ok(found)
    }

    fn may_begin(&self, at: usize) -> bool {
        let anchored = self.pattern.nfa.is_always_start_anchored();
        self.text.is_char_boundary(at) && (at == 0 || !anchored)
    }

    /// Takes all that wait over the byte at `at`; says whether that makes a match.
    fn read(&mut self, byte: u8, at: usize) -> Result<bool, Exhausted> {
        let waiting = mem::replace(&mut self.waiting, mem::take(&mut self.spare));
        for &state in &waiting {
            if let Some(next) = self.follow(state, byte)?
                && self.enter(next, at + 1)?
            {
                return Ok(true);
            }
        }
        self.spare = waiting;
        self.spare.clear();
        Ok(false)
    }

    /// Where a byte leads.
    fn follow(&mut self, state: StateID, byte: u8) -> Result<Option<StateID>, Exhausted> {
        self.steps.take(1)?;
        match self.pattern.nfa.state(state) {
            State::ByteRange { trans } => Ok(trans.matches_byte(byte).then_some(trans.next)),
            State::Sparse(sparse) => {
                self.steps.take(sparse.transitions.len() / TRANSITIONS)?;
                Ok(sparse.matches_byte(byte))
            }
            State::Dense(dense) => Ok(dense.matches_byte(byte)),
            _ => Ok(None),
        }
    }

    /// Enters a state at a place, and all that it leads to without a byte; says whether that makes
    /// a match.
    fn enter(&mut self, state: StateID, at: usize) -> Result<bool, Exhausted> {
        let nfa = &self.pattern.nfa;
        self.open.push(state);
        while let Some(state) = self.open.pop() {
            self.steps.take(1)?;
            if mem::replace(&mut self.entered[state.as_usize()], at + 1) == at + 1 {
                continue;
            }
            match nfa.state(state) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => {
                    self.waiting.push(state);
                }
                State::Look { look, next } => {
                    self.steps.take(1)?;
                    if nfa.look_matcher().matches(*look, self.text.as_bytes(), at) {
                        self.open.push(*next);
                    }
                }
                State::Union { alternates } => self.open.extend(alternates.iter()),
                State::BinaryUnion { alt1, alt2 } => self.open.extend([*alt1, *alt2]),
                State::Capture { next, .. } => self.open.push(*next),
                // An empty match may not be inside a character.
                State::Match { .. } if self.text.is_char_boundary(at) => return Ok(true),
                State::Match { .. } | State::Fail => {}
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::super::pattern::Compiled;
    use super::super::work::{Exhausted, Work};
    use super::Search;

    /// Ours, without a walk before it.
    fn search(pattern: &Compiled, text: &str, steps: u64) -> Result<bool, Exhausted> {
        Work::of(0, steps).search(|steps| Search::new(pattern, text, steps)?.finds())
    }

    /// Some of these words one after another.
    fn pieces(words: &'static str, most: usize) -> impl Strategy<Value = String> {
        let words: Vec<_> = words.split_whitespace().collect();
        let pieces = prop::collection::vec(prop::sample::select(words), 0..most);
        let blank = |text: String| text.replace('␣', " ").replace('␊', "\n").replace('␍', "\r");
        pieces.prop_map(move |pieces| blank(pieces.concat()))
    }

    const TEXTS: &str = "a b ab A é É ␣ ␊ ␍␊ 1 _ 🐱 ß beer";

    const PATTERNS: &str = r"a b ab é . ␣ (?i:é) (?i:beer) [^a] [a-é] \w \d \s \pL (?s:.) \b \B
        (?-u:\b) (?-u:\B) ^ $ (?m:^) (?m:$) (?R:$) \A \z \b{start} \b{end-half}
        (a|b) (beer|bar) ( ) | * + ? {2} {0,3}? ()";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn what_the_regex_crate_finds_is_found_and_nothing_else(
            pattern in pieces(PATTERNS, 6),
            text in pieces(TEXTS, 12),
        ) {
            match (Regex::new(&pattern), Compiled::new(&pattern)) {
                (Ok(regex), Ok(ours)) => {
                    let found = regex.is_match(&text);
                    prop_assert_eq!(ours.is_in(&text, &Work::of(0, 1_000_000)).unwrap(), found);
                    prop_assert_eq!(search(&ours, &text, 1_000_000).unwrap(), found);
                }
                (_, Err(fault)) if fault.contains("too much memory") => {}
                (regex, ours) => prop_assert!(regex.is_err() && ours.is_err(), "{:?}", ours),
            }
        }
    }

    #[test]
    fn a_search_ends_with_its_steps() {
        let pattern = Compiled::new("(a?){99}b").unwrap();
        let (short, long) = ("a".repeat(9), "a".repeat(9_999));
        assert!(!search(&pattern, &short, 10_000).unwrap());
        assert!(search(&pattern, &long, 10_000).is_err());
    }

    #[test]
    fn a_rare_word_costs_little_however_long_the_text() {
        let pattern = Compiled::new(r"(?i)\b(beer|wine)s?\b").unwrap();
        let text = format!("{} Beers!", "nothing to see, ".repeat(1_500));
        assert!(search(&pattern, &text, text.len() as u64).unwrap());
    }
}
