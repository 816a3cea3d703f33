//! Walks a text through a pattern's automaton, one state after another, in counted steps.
//!
//! The states are made on the way, and forgotten afterwards: what a walk takes, and whether it is
//! given up, depends on the pattern and the text alone.

use regex_automata::Input;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};

use super::work::{Exhausted, Steps};

/// How many bytes are walked over in the time of a step, where the way is known.
const BYTES: usize = 8;

/// What a new state takes however small it is: room, and a look for one that is the same.
const NEW_STATE: usize = 150;

/// How much of the pattern is gone through in the time of a step to make a new state.
const PATTERN_BYTES: usize = 32;

/// What the making of new states may take: so much for any text, and so much more for each byte. A
/// text that needs more is searched for faster without them.
const STEPS: usize = 40_000;
const STEPS_FOR_A_BYTE: usize = 8;

/// Whether the text has a match anywhere; nothing where the walk was given up, be it for a letter
/// that the automaton does not understand.
pub(super) fn finds(dfa: &DFA, text: &str, steps: &mut Steps) -> Result<Option<bool>, Exhausted> {
    let allowance = STEPS + STEPS_FOR_A_BYTE * text.len();
    let cost = NEW_STATE + dfa.get_nfa().memory_usage() / PATTERN_BYTES;
    // A new cache looks at all states of the pattern, as does the first state.
    steps.take(2 * cost)?;
    steps.take(text.len() / BYTES)?;
    let mut cache = dfa.create_cache();
    let Ok(mut state) = dfa.start_state_forward(&mut cache, &Input::new(text)) else {
        return Ok(None);
    };
    if state.is_tagged() {
        return Ok(outcome(state));
    }
    let mut spent = 0;
    for byte in text.bytes() {
        let mut next = dfa.next_state_untagged(&cache, state, byte);
        if next.is_unknown() {
            spent += cost;
            if spent > allowance {
                return Ok(None);
            }
            steps.take(cost)?;
            let Ok(new) = dfa.next_state(&mut cache, state, byte) else { return Ok(None) };
            next = new;
        }
        if next.is_tagged() {
            return Ok(outcome(next));
        }
        state = next;
    }
    steps.take(cost)?;
    Ok(at_end(dfa, &mut cache, state))
}

/// What a state means that is not one among many.
fn outcome(state: LazyStateID) -> Option<bool> {
    match (state.is_match(), state.is_dead()) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

fn at_end(dfa: &DFA, cache: &mut Cache, state: LazyStateID) -> Option<bool> {
    let last = dfa.next_eoi_state(cache, state).ok()?;
    if last.is_tagged() { outcome(last) } else { Some(false) }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Compiled;
    use super::super::work::Work;

    #[test]
    fn states_that_are_ever_new_take_what_their_making_costs() {
        let pattern = Compiled::new("a[ab]{14}c").unwrap();
        // All texts of eleven letters a and b, one after another.
        let letter = |i: usize| if (i / 11) >> (i % 11) & 1 == 0 { 'a' } else { 'b' };
        let text: String = (0..2_000).map(letter).collect();
        // A microsecond or so for each, a hundred steps.
        assert!(pattern.is_in(&text, &Work::of(0, 100_000)).is_err());
        assert!(!pattern.is_in(&"ab".repeat(1_000), &Work::of(0, 10_000)).unwrap());
    }
}
