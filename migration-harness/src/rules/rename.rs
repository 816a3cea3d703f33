//! Fields that have one name in the captured answers and another in the target's.

use super::pattern::{Part, parts};
use super::rule::Scope;
use crate::json::{Member, Text, Value};

/// Stands before the names of members that are under way, so that two can change their names.
const UNDER_WAY: char = '\u{0}';

/// Whose answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The legacy system's, which has the old names.
    Legacy,
    /// The target's, which may have either.
    Target,
}

/// A field's old and new name.
#[derive(Debug)]
pub(crate) struct Rename {
    /// The models and clients that it is about.
    pub(crate) scope: Scope,
    /// The old path as it was written.
    pub(crate) written_old: String,
    /// What both paths begin with.
    shared: Vec<Part>,
    /// What follows in the old one.
    old: Vec<String>,
    /// What follows in the new one.
    new: Vec<String>,
    /// The same, with a last name that nobody else has.
    under_way: Vec<String>,
}

impl Rename {
    /// From one path to another. Both begin alike; what follows is made of plain names.
    ///
    /// # Errors
    /// A sentence for the user, when they aren't such paths.
    pub(crate) fn new(scope: Scope, old: &str, new: &str) -> Result<Self, String> {
        let (old_parts, new_parts) = (parts(old)?, parts(new)?);
        let shortest = old_parts.len().min(new_parts.len()) - 1;
        let both = old_parts.iter().zip(&new_parts).take(shortest);
        let shared = both.take_while(|(one, other)| one == other).count();
        let [old_names, new_names] = [(old, &old_parts), (new, &new_parts)]
            .map(|(written, parts)| names(&parts[shared..], written));
        let (old_names, new_names) = (old_names?, new_names?);
        if old_names == new_names {
            return Err(format!("`{old}` and `{new}` are the same field"));
        }
        if old_parts[..shared].contains(&Part::AnyDepth) {
            return Err(format!("`{old}`: a renamed field is at one depth, so `**` has no place"));
        }
        let mut under_way = new_names.clone();
        under_way.iter_mut().last().into_iter().for_each(|name| name.insert(0, UNDER_WAY));
        Ok(Self {
            scope,
            written_old: old.to_owned(),
            shared: old_parts[..shared].to_vec(),
            old: old_names,
            new: new_names,
            under_way,
        })
    }

    /// Whether the value has the field by its old name.
    pub(crate) fn is_met(&self, value: &mut Value<'_>) -> bool {
        let mut is_met = false;
        each(value, &self.shared, &mut |value| is_met |= find(value, &self.old).is_some());
        is_met
    }
}

/// Gives the fields of an answer their new names. A name that is taken stays with its owner.
pub(super) fn rename<'v>(value: &mut Value<'v>, renames: &[&'v Rename], side: Side) {
    for rename in renames {
        each(value, &rename.shared, &mut |value| {
            if side == Side::Legacy || has_room(value, &rename.new) {
                take_along(value, &rename.old, &rename.under_way);
            }
        });
    }
    for rename in renames {
        each(value, &rename.shared, &mut |value| {
            let has_room = has_room(value, &rename.new);
            take_along(value, &rename.under_way, if has_room { &rename.new } else { &rename.old });
        });
    }
}

fn names(parts: &[Part], written: &str) -> Result<Vec<String>, String> {
    let name = |part: &Part| match part {
        Part::Name(name) => Ok(name.clone()),
        _ => Err(format!("`{written}`: where old and new path differ, only plain names can stand")),
    };
    parts.iter().map(name).collect()
}

/// Visits every value that the pattern leads to.
fn each<'v>(value: &mut Value<'v>, parts: &[Part], visit: &mut impl FnMut(&mut Value<'v>)) {
    let Some((part, rest)) = parts.split_first() else { return visit(value) };
    match (part, value) {
        (Part::Elements, Value::Array(elements)) => {
            elements.iter_mut().for_each(|element| each(element, rest, visit));
        }
        (part, Value::Object(members)) => {
            let fitting = members.iter_mut().filter(|member| part.fits_name(member.name));
            fitting.for_each(|member| each(&mut member.value, rest, visit));
        }
        _ => {}
    }
}

fn find<'m, 'v>(value: &'m Value<'v>, names: &[String]) -> Option<&'m Value<'v>> {
    names.iter().try_fold(value, |value, name| {
        let mut members = value.members()?.iter();
        Some(&members.find(|member| member.name == Text::plain(name))?.value)
    })
}

/// Whether something can be put at the place.
fn has_room(value: &Value<'_>, names: &[String]) -> bool {
    let (Value::Object(members), Some((name, rest))) = (value, names.split_first()) else {
        return false;
    };
    let below = members.iter().find(|member| member.name == Text::plain(name));
    below.is_none_or(|member| has_room(&member.value, rest))
}

/// Whether only objects, or nothing yet, stand on the way to the place.
fn is_reachable(value: &Value<'_>, names: &[String]) -> bool {
    let (Value::Object(members), Some((name, rest))) = (value, names.split_first()) else {
        return false;
    };
    let below = members.iter().find(|member| member.name == Text::plain(name));
    rest.is_empty() || below.is_none_or(|member| is_reachable(&member.value, rest))
}

/// Moves what is at one place to another, if it is there and the other can be reached. Within one
/// object, it keeps its place among the members.
fn take_along<'v>(value: &mut Value<'v>, from: &[String], to: &'v [String]) {
    if let ([from], [to], Value::Object(members)) = (from, to, &mut *value) {
        let member = members.iter_mut().find(|member| member.name == Text::plain(from));
        member.into_iter().for_each(|member| member.name = Text::plain(to));
    } else if (to.starts_with(from) || is_reachable(value, to))
        && let Some(member) = take(value, from)
    {
        put(value, to, member);
    }
}

fn take<'v>(value: &mut Value<'v>, names: &[String]) -> Option<Member<'v>> {
    let Value::Object(members) = value else { return None };
    let (name, rest) = names.split_first()?;
    let place = members.iter().position(|member| member.name == Text::plain(name))?;
    if rest.is_empty() {
        Some(members.remove(place))
    } else {
        take(&mut members[place].value, rest)
    }
}

/// Makes the objects that lead to the place where they are missing.
fn put<'v>(value: &mut Value<'v>, names: &'v [String], moved: Member<'v>) {
    let (Value::Object(members), Some((name, rest))) = (value, names.split_first()) else { return };
    let name = Text::plain(name);
    if rest.is_empty() {
        members.push(Member { name, ..moved });
        return;
    }
    let place = members.iter().position(|member| member.name == name).unwrap_or(members.len());
    if place == members.len() {
        members.push(Member { name, value: Value::Object(Vec::new()), is_repeated: false });
    }
    put(&mut members[place].value, rest, moved);
}
