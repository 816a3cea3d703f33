//! Compares two objects member by member.

use std::collections::HashMap;

use super::Comparison;
use super::label;
use super::pair::Pair;
use super::path::Path;
use super::scalar;
use crate::difference::Kind;
use crate::json::{Lookup, Member, Text, Value};

/// A member whose value isn't the same any more.
struct Change<'v> {
    name: Text<'v>,
    old: &'v Value<'v>,
    new: &'v Value<'v>,
    kind: Kind,
}

impl Comparison<'_> {
    /// Adds what differs between two objects at the path.
    pub(super) fn object(&mut self, path: &Path<'_>, old: &[Member<'_>], new: &[Member<'_>]) {
        let others = Lookup::new(new);
        let mut changes = Vec::new();
        let mut next = 0;
        let (mut common, mut is_in_order) = (0, true);
        for (place, member) in old.iter().enumerate() {
            let below = Path::Member(path, member.name);
            let Some(found) = others.find(member.name, place) else {
                let pair = Pair { old: Some(&member.value), ..Pair::default() };
                self.found.add(&below, Kind::Missing, &pair);
                continue;
            };
            is_in_order &= found >= next;
            (next, common) = (found + 1, common + 1);
            changes.extend(self.member(&below, member, &new[found]));
        }
        if !is_in_order {
            self.found.add(path, Kind::KeyOrder, &Pair::default());
        }
        if common < new.len() {
            self.extra(path, old, new);
        }
        self.changes(path, old, &changes);
    }

    /// What holds other values is compared at once; other changes are to be seen together.
    fn member<'v>(
        &mut self,
        path: &Path<'_>,
        old: &'v Member<'v>,
        new: &'v Member<'v>,
    ) -> Option<Change<'v>> {
        if old.is_repeated != new.is_repeated {
            let kind = if old.is_repeated { Kind::Missing } else { Kind::Extra };
            self.found.add(path, kind, &Pair::default());
        }
        let (name, old, new) = (old.name, &old.value, &new.value);
        if let (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) =
            (old, new)
        {
            self.value(path, old, new);
            return None;
        }
        let kind = scalar::kind(old, new)?;
        if kind.is_of_text_only() {
            self.found.add(path, kind, &Pair::of(old, new));
            return None;
        }
        Some(Change { name, old, new, kind })
    }

    fn extra(&mut self, path: &Path<'_>, old: &[Member<'_>], new: &[Member<'_>]) {
        let known = Lookup::new(old);
        for (place, member) in new.iter().enumerate() {
            if known.find(member.name, place).is_none() {
                let pair = Pair { new: Some(&member.value), ..Pair::default() };
                self.found.add(&Path::Member(path, member.name), Kind::Extra, &pair);
            }
        }
    }

    fn changes(&mut self, path: &Path<'_>, siblings: &[Member<'_>], changes: &[Change<'_>]) {
        let exchanged = exchanged(changes);
        for (place, change) in changes.iter().enumerate() {
            let mut pair = Pair::of(change.old, change.new);
            let mut kind = change.kind;
            if kind == Kind::Value
                && let Some(label) = change.old.text()
                && label::is_label(change.name, label, siblings)
            {
                kind = Kind::Label;
                let new = change.new.text();
                pair.margin = new.and_then(|new| label::margin(label, new, siblings));
            } else if exchanged.contains(&place) {
                kind = Kind::Swapped;
            }
            self.found.add(&Path::Member(path, change.name), kind, &pair);
        }
    }
}

/// The places of changes that come in pairs: what was the value of one is the other's now.
fn exchanged(changes: &[Change<'_>]) -> Vec<usize> {
    if changes.len() < 2 {
        return Vec::new();
    }
    let prints = |change: &Change<'_>| (change.old.fingerprint(), change.new.fingerprint());
    let prints: Vec<_> = changes.iter().map(prints).collect();
    let places: HashMap<_, _> = prints.iter().copied().zip(0..).collect::<HashMap<_, usize>>();
    let is_exchanged = |place: &usize| {
        let (old, new) = prints[*place];
        places.contains_key(&(new, old))
    };
    (0..changes.len()).filter(is_exchanged).collect()
}
