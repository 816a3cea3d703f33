//! The memory of the host: tables of models, endpoint configurations and endpoints.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::record::{Endpoint, EndpointConfig, Model};
use crate::resource_name::ResourceName;

/// Everything that was created and not yet deleted.
#[derive(Default)]
pub(crate) struct Registry {
    /// The models.
    pub(crate) models: Table<Model>,
    /// The endpoint configurations.
    pub(crate) configs: Table<EndpointConfig>,
    /// The endpoints.
    pub(crate) endpoints: Table<Endpoint>,
}

/// Records by name, which also know the order of their creation.
pub(crate) struct Table<T> {
    /// Held for the length of one look-up, never across an await.
    rows: Mutex<Rows<T>>,
}

/// What a table holds.
struct Rows<T> {
    /// The serial number of the latest record.
    latest: u64,
    /// The records and their serial numbers.
    by_name: BTreeMap<ResourceName, (Serial, Arc<T>)>,
}

/// The place of a record in the order of creation; unlike a name, it is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial(pub(crate) u64);

/// Which records a list shall hold.
#[derive(Debug)]
pub(crate) struct Query {
    /// A part of the name; empty for all.
    pub(crate) name_contains: String,
    /// At most so many.
    pub(crate) limit: usize,
    /// Only records older than this one: where the page before ended.
    pub(crate) before: Option<Serial>,
}

impl<T: Clone> Table<T> {
    /// Adds a record, or gives back the one that has the name already.
    pub(crate) fn insert(&self, name: ResourceName, record: T) -> Result<(), Arc<T>> {
        let mut rows = self.lock();
        if let Some((_, existing)) = rows.by_name.get(&name) {
            return Err(Arc::clone(existing));
        }
        rows.latest += 1;
        let serial = Serial(rows.latest);
        rows.by_name.insert(name, (serial, Arc::new(record)));
        Ok(())
    }

    /// The record of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<T>> {
        self.lock().by_name.get(name).map(|(_, record)| Arc::clone(record))
    }

    /// Changes the record of that name, if there is one.
    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut T)) {
        if let Some((_, record)) = self.lock().by_name.get_mut(name) {
            change(Arc::make_mut(record));
        }
    }

    /// Removes the record of that name and tells whether there was one.
    pub(crate) fn remove(&self, name: &str) -> bool {
        self.lock().by_name.remove(name).is_some()
    }

    /// One page of records, the newest first, and where to go on if there are more.
    pub(crate) fn page(&self, query: &Query) -> (Vec<Arc<T>>, Option<Serial>) {
        let rows = self.lock();
        let mut found: Vec<_> = rows.by_name.iter().filter(|row| query.matches(row)).collect();
        found.sort_by_key(|(_, (serial, _))| std::cmp::Reverse(*serial));
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let last = found.last().map(|(_, (serial, _))| *serial).filter(|_| more);
        (found.into_iter().map(|(_, (_, record))| Arc::clone(record)).collect(), last)
    }

    fn lock(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().expect("no change to a record panics")
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Mutex::new(Rows { latest: 0, by_name: BTreeMap::new() }) }
    }
}

impl Query {
    fn matches<T>(&self, (name, (serial, _)): &(&ResourceName, &(Serial, Arc<T>))) -> bool {
        name.as_str().contains(&self.name_contains)
            && self.before.is_none_or(|before| *serial < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Table<String> {
        let table = Table::default();
        for name in names {
            table.insert(ResourceName::parse(name).unwrap(), (*name).to_owned()).unwrap();
        }
        table
    }

    fn query(name_contains: &str, limit: usize, before: Option<Serial>) -> Query {
        Query { name_contains: name_contains.to_owned(), limit, before }
    }

    #[test]
    fn pages_are_newest_first_and_survive_a_deletion_between_them() {
        let table = table(&["a", "b", "c", "d"]);
        let (first, next) = table.page(&query("", 2, None));
        assert_eq!(first, [Arc::new("d".to_owned()), Arc::new("c".to_owned())]);
        assert!(table.remove("c"));
        let (second, end) = table.page(&query("", 2, next));
        assert_eq!(second, [Arc::new("b".to_owned()), Arc::new("a".to_owned())]);
        assert_eq!(end, None);
    }

    #[test]
    fn a_page_holds_only_names_with_the_part_asked_for() {
        let (found, next) = table(&["spam-1", "ham", "spam-2"]).page(&query("spam", 9, None));
        assert_eq!(found.len(), 2);
        assert_eq!(next, None);
    }

    #[test]
    fn a_name_can_be_used_again_once_its_record_is_removed() {
        let table = table(&["a"]);
        let again = || table.insert(ResourceName::parse("a").unwrap(), "new".to_owned());
        assert_eq!(again().unwrap_err().as_str(), "a");
        assert!(table.remove("a"));
        assert!(!table.remove("a"));
        again().unwrap();
        assert_eq!(table.get("a").unwrap().as_str(), "new");
    }
}
