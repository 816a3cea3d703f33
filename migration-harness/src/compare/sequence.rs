//! Compares two arrays, or bodies of lines or rows.

use std::collections::{HashMap, VecDeque};

use super::Comparison;
use super::pair::Pair;
use super::path::Path;
use crate::difference::{Kind, Permit};
use crate::json::{Text, Value};
use crate::rules::Order;

/// Two lists of values.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'s> {
    /// The path of the list.
    pub(super) list: &'s Path<'s>,
    /// The path of its elements.
    pub(super) elements: &'s Path<'s>,
    /// The captured list.
    pub(super) old: &'s [Value<'s>],
    /// The new one.
    pub(super) new: &'s [Value<'s>],
}

impl Comparison<'_> {
    /// Adds what differs between two lists.
    pub(super) fn sequence(&mut self, sequence: Sequence<'_>) {
        let Sequence { list, elements, old, new } = sequence;
        if old == new {
            self.pairs(elements, old.iter().zip(new));
        } else if let Some((order, rule)) = self.found.judge().order(list, elements) {
            self.matched(sequence, order, rule);
        } else if have_same_elements(old, new) {
            self.found.add(elements, Kind::Order, &Pair::default());
        } else {
            self.in_place(sequence);
        }
    }

    /// Elements are compared in their order. What both lists begin and end with is set aside, so
    /// that one element more doesn't make all behind it differ.
    fn in_place(&mut self, sequence: Sequence<'_>) {
        let Sequence { elements, old, new, .. } = sequence;
        if old.len() != new.len() {
            self.found.add(elements, Kind::Length, &Pair::default());
        }
        let start = old.iter().zip(new).take_while(|(one, other)| one == other).count();
        let (old_rest, new_rest) = (&old[start..], &new[start..]);
        let backwards = old_rest.iter().rev().zip(new_rest.iter().rev());
        let end = backwards.take_while(|(one, other)| one == other).count();
        let (old_end, new_end) = (old.len() - end, new.len() - end);
        self.pairs(elements, old[..start].iter().zip(&new[..start]));
        self.pairs(elements, old[start..old_end].iter().zip(&new[start..new_end]));
        self.pairs(elements, old[old_end..].iter().zip(&new[new_end..]));
    }

    /// Elements are compared with those that the rule finds for them.
    fn matched(&mut self, sequence: Sequence<'_>, order: &Order, rule: &str) {
        let Sequence { elements, old, new, .. } = sequence;
        let matching = Matching::of(sequence, order);
        if matching.is_moved() {
            let permit = Some(Permit::Rule(rule.to_owned()));
            self.found.insert(elements, Kind::Order, permit, None);
        }
        let pair = |(one, other): &(usize, usize)| (&old[*one], &new[*other]);
        self.pairs(elements, matching.pairs.iter().map(pair));
        let (left, right) = (&matching.only_old, &matching.only_new);
        if let Order::Key(_) = order {
            for place in left {
                let pair = Pair { old: Some(&old[*place]), ..Pair::default() };
                self.found.add(elements, Kind::Missing, &pair);
            }
            for place in right {
                let pair = Pair { new: Some(&new[*place]), ..Pair::default() };
                self.found.add(elements, Kind::Extra, &pair);
            }
            return;
        }
        if left.len() != right.len() {
            self.found.add(elements, Kind::Length, &Pair::default());
        }
        let rest = left.iter().zip(right).map(|(one, other)| (&old[*one], &new[*other]));
        self.pairs(elements, rest);
    }

    fn pairs<'v>(
        &mut self,
        path: &Path<'_>,
        pairs: impl Iterator<Item = (&'v Value<'v>, &'v Value<'v>)>,
    ) {
        pairs.for_each(|(old, new)| self.value(path, old, new));
    }
}

/// Which elements of two lists belong together.
struct Matching {
    /// Places in the old list and the new one, in the order of the new.
    pairs: Vec<(usize, usize)>,
    /// Places in the old list of elements that found none.
    only_old: Vec<usize>,
    /// Places in the new list of elements that found none.
    only_new: Vec<usize>,
}

impl Matching {
    /// The first of the old list with the same mark belongs to the first of the new one, and so on.
    fn of(sequence: Sequence<'_>, order: &Order) -> Self {
        let mut waiting: HashMap<Option<u64>, VecDeque<usize>> = HashMap::new();
        for (place, element) in sequence.old.iter().enumerate() {
            waiting.entry(mark(element, order)).or_default().push_back(place);
        }
        let (mut pairs, mut only_new) = (Vec::new(), Vec::new());
        for (place, element) in sequence.new.iter().enumerate() {
            let found = waiting.get_mut(&mark(element, order)).and_then(VecDeque::pop_front);
            match found {
                Some(old) => pairs.push((old, place)),
                None => only_new.push(place),
            }
        }
        let mut only_old: Vec<_> = waiting.into_values().flatten().collect();
        only_old.sort_unstable();
        Self { pairs, only_old, only_new }
    }

    fn is_moved(&self) -> bool {
        !self.pairs.is_sorted_by_key(|(old, _)| *old)
    }
}

/// What elements that belong together have in common; none for those without the key.
fn mark(element: &Value<'_>, order: &Order) -> Option<u64> {
    match order {
        Order::Any => Some(element.fingerprint()),
        Order::Key(key) => {
            let mut members = element.members()?.iter();
            let member = members.find(|member| member.name == Text::plain(key))?;
            Some(member.value.fingerprint())
        }
    }
}

fn have_same_elements(old: &[Value<'_>], new: &[Value<'_>]) -> bool {
    let sum = |list: &[Value<'_>]| {
        list.iter().fold(0, |sum: u64, element| sum.wrapping_add(element.fingerprint()))
    };
    old.len() == new.len() && sum(old) == sum(new)
}
