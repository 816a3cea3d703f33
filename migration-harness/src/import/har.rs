//! HTTP archives: one JSON document of any size, of which one entry at a time is held.

mod entry;

use std::io::BufRead;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::call::{Found, Take};
use super::input::{Allowance, Rationed};
use crate::error::Error;

pub(crate) use entry::origin_form;

/// Reads a file; calls are numbered as its entries are.
pub(super) fn read(reader: &mut dyn BufRead, take: &mut Take<'_>) -> Result<(), Error> {
    let reader = Rationed::new(reader);
    let allowance = reader.allowance();
    let mut progress = Progress { take, allowance, entry: 0, stopped: None };
    let mut document = serde_json::Deserializer::from_reader(reader);
    let log = Member { name: "entries", value: Entries(&mut progress) };
    let read = Member { name: "log", value: log }.deserialize(&mut document);
    let read = read.and_then(|found| document.end().map(|()| found));
    let Progress { take, entry, stopped, .. } = progress;
    match (stopped, read) {
        (Some(error), _) => Err(error),
        (None, Ok(true)) => Ok(()),
        (None, Ok(false)) => take(1, Found::Rest("there is no `log.entries`".to_owned())),
        (None, Err(error)) => {
            let reason = format!("the rest of the file is no HTTP archive: {error}");
            take(entry + 1, Found::Rest(reason))
        }
    }
}

/// What is handed through the document to its entries.
struct Progress<'a, 'b> {
    take: &'a mut Take<'b>,
    allowance: Allowance,
    entry: u64,
    /// Why the taker wants no more.
    stopped: Option<Error>,
}

/// One member of an object, whose others are passed over; tells whether it was there.
struct Member<V> {
    name: &'static str,
    value: V,
}

impl<'de, V: DeserializeSeed<'de, Value = bool>> DeserializeSeed<'de> for Member<V> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, V: DeserializeSeed<'de, Value = bool>> Visitor<'de> for Member<V> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an object with `{}`", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let Self { name, value } = self;
        let (mut value, mut found) = (Some(value), false);
        while let Some(member) = members.next_key::<String>()? {
            if member != name {
                members.next_value::<IgnoredAny>()?;
            } else if let Some(value) = value.take() {
                found = members.next_value_seed(value)?;
            } else {
                return Err(A::Error::custom(format!("`{name}` is there twice")));
            }
        }
        Ok(found)
    }
}

/// The entries, given away one by one.
struct Entries<'a, 'b, 'c>(&'a mut Progress<'b, 'c>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let progress = self.0;
        while let Some(entry) = entries.next_element::<Box<RawValue>>()? {
            progress.allowance.renew();
            progress.entry += 1;
            let found = Found::of(entry::call(entry.get()));
            if let Err(error) = (progress.take)(progress.entry, found) {
                progress.stopped = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(true)
    }
}
