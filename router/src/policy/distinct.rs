//! Reads JSON's objects more strictly than serde does: never from arrays, no key twice.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// A `T` that was read from an object; serde's structs also take an array of their fields' values.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer).map(Self)
    }
}

/// Reads a struct from an object, for serde's attribute on a field.
pub(crate) fn object<'de, T: Deserialize<'de>, D>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Fields(PhantomData))
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries))
    }
}

/// Reads an object whose keys must differ; plain maps would let the last of two win unnoticed.
pub(crate) fn distinct_keys<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    distinct_entries(deserializer, |_| Ok(()))
}

/// The same, up to the first value that does not fit any more.
pub(crate) fn distinct_entries<'de, K, V, D>(
    deserializer: D,
    fits: impl FnMut(&V) -> Result<(), String>,
) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(DistinctKeys { fits, entry: PhantomData })
}

struct DistinctKeys<K, V, F> {
    fits: F,
    entry: PhantomData<(K, V)>,
}

impl<'de, K, V, F> Visitor<'de> for DistinctKeys<K, V, F>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
    F: FnMut(&V) -> Result<(), String>,
{
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<K>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("`{key}` stands twice")));
            }
            let value = entries.next_value()?;
            (self.fits)(&value).map_err(A::Error::custom)?;
            map.insert(key, value);
        }
        Ok(map)
    }
}
