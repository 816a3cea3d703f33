//! When two values are the same, and a hash that is the same for such values.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use super::{Lookup, Member, Number, Quantity, Value};

/// By value: the order of members, the form of numbers and escapes don't matter.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Number(one), Self::Number(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Array(one), Self::Array(two)) => one == two,
            (Self::Object(one), Self::Object(two)) => have_same_members(one, two),
            _ => false,
        }
    }
}

fn have_same_members(one: &[Member<'_>], two: &[Member<'_>]) -> bool {
    let others = Lookup::new(two);
    one.len() == two.len()
        && one.iter().enumerate().all(|(place, member)| {
            let other = others.find(member.name, place).map(|place| &two[place]);
            other.is_some_and(|other| {
                member.is_repeated == other.is_repeated && member.value == other.value
            })
        })
}

impl Value<'_> {
    /// The same for values that are the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        discriminant(self).hash(&mut hash);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(&mut hash),
            Self::Number(number) => hash_number(*number, &mut hash),
            Self::Text(text) => text.hash(&mut hash),
            Self::Array(elements) => {
                elements.iter().for_each(|it| it.fingerprint().hash(&mut hash));
            }
            Self::Object(members) => {
                let sum = members.iter().fold(0, |sum: u64, it| sum.wrapping_add(it.fingerprint()));
                sum.hash(&mut hash);
            }
        }
        hash.finish()
    }
}

impl Member<'_> {
    fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.name, self.value.fingerprint(), self.is_repeated).hash(&mut hash);
        hash.finish()
    }
}

fn hash_number(number: Number<'_>, hash: &mut DefaultHasher) {
    match number.quantity() {
        Quantity::Integer(value) => value.hash(hash),
        Quantity::Double(value) => value.to_bits().hash(hash),
        Quantity::Long(text) | Quantity::Beyond(text) => text.hash(hash),
    }
}
