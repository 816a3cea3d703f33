//! The memory of the host: tables of models, endpoint configurations and endpoints, read from
//! memory and written to the database first.

mod page;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::record::{Endpoint, EndpointConfig, Model, Record, Tags};
use crate::resource_name::ResourceName;
use crate::store::Store;
use page::Orders;
pub(crate) use page::{Filter, Place, Query, Sort, SortBy, SortOrder, Window};

/// Everything that was created and not yet deleted.
pub(crate) struct Registry {
    /// The models.
    pub(crate) models: Table<Model>,
    /// The endpoint configurations.
    pub(crate) configs: Table<EndpointConfig>,
    /// The endpoints.
    pub(crate) endpoints: Table<Endpoint>,
}

/// Records by name and in every order in which they are listed.
pub(crate) struct Table<T> {
    /// Where they are kept.
    store: Store,
    /// Held while a change is written down, so that memory and database change in one order.
    turn: tokio::sync::Mutex<()>,
    /// Held for the length of one look-up, never across an await.
    rows: Mutex<Rows<T>>,
}

/// What a table holds.
struct Rows<T> {
    /// The serial number of the latest record.
    latest: i64,
    /// The records.
    by_name: BTreeMap<ResourceName, Row<T>>,
    /// The same, in the orders of lists.
    orders: Orders<T>,
}

/// A record and what the table knows of it.
pub(crate) struct Row<T> {
    /// Its place in the order of creation.
    pub(crate) serial: i64,
    /// The record itself.
    pub(crate) record: Arc<T>,
    /// What its owner noted about it.
    pub(crate) tags: Arc<Tags>,
}

/// Why a record was not added.
#[derive(Debug)]
pub(crate) enum NotAdded<T> {
    /// This one has its name.
    Taken(Arc<T>),
    /// The database did not take it.
    Store(sqlx::Error),
}

impl Registry {
    /// Reads what an earlier host stored.
    pub(crate) async fn load(store: &Store) -> Result<Self, sqlx::Error> {
        Ok(Self {
            models: Table::load(store).await?,
            configs: Table::load(store).await?,
            endpoints: Table::load(store).await?,
        })
    }
}

impl<T: Record> Table<T> {
    async fn load(store: &Store) -> Result<Self, sqlx::Error> {
        let mut rows = Rows { latest: 0, by_name: BTreeMap::new(), orders: Orders::default() };
        store.load::<T>().await?.into_iter().for_each(|row| rows.put(row));
        let (store, rows) = (store.clone(), Mutex::new(rows));
        Ok(Self { store, turn: tokio::sync::Mutex::default(), rows })
    }

    /// Adds a record whose name is free.
    pub(crate) async fn insert(&self, record: T, tags: Tags) -> Result<(), NotAdded<T>> {
        let _turn = self.turn.lock().await;
        if let Some(existing) = self.get(record.name().as_str()) {
            return Err(NotAdded::Taken(existing));
        }
        let serial = self.lock().latest + 1;
        let row = Row { serial, record: Arc::new(record), tags: Arc::new(tags) };
        self.write(row).await.map_err(NotAdded::Store)
    }

    /// The record of that name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<T>> {
        self.lock().by_name.get(name).map(|row| Arc::clone(&row.record))
    }

    /// The tags of the record of that name.
    pub(crate) fn tags(&self, name: &str) -> Option<Arc<Tags>> {
        self.lock().by_name.get(name).map(|row| Arc::clone(&row.tags))
    }

    /// All records, by name.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.lock().by_name.values().map(|row| Arc::clone(&row.record)).collect()
    }

    /// Changes the record of that name, if there is one, and tells whether there is.
    pub(crate) async fn update(
        &self,
        name: &str,
        change: impl FnOnce(&mut T) + Send,
    ) -> Result<bool, sqlx::Error> {
        self.change(name, |row| change(Arc::make_mut(&mut row.record))).await
    }

    /// Replaces the tags of the record of that name, if there is one, and tells whether there is.
    pub(crate) async fn tag(
        &self,
        name: &str,
        change: impl FnOnce(&mut Tags) + Send,
    ) -> Result<bool, sqlx::Error> {
        self.change(name, |row| change(Arc::make_mut(&mut row.tags))).await
    }

    async fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Row<T>) + Send,
    ) -> Result<bool, sqlx::Error> {
        let _turn = self.turn.lock().await;
        let Some(mut row) = self.lock().by_name.get(name).cloned() else {
            return Ok(false);
        };
        change(&mut row);
        self.write(row).await.map(|()| true)
    }

    /// Removes the record of that name with its tags and tells whether there was one.
    pub(crate) async fn remove(&self, name: &str) -> Result<bool, sqlx::Error> {
        let _turn = self.turn.lock().await;
        if self.get(name).is_none() {
            return Ok(false);
        }
        self.store.remove::<T>(name).await?;
        self.lock().remove(name);
        Ok(true)
    }

    /// One page of records, and where to go on if there are more.
    pub(crate) fn page(&self, query: &Query) -> (Vec<Arc<T>>, Option<Place>) {
        self.lock().orders.page(query)
    }

    async fn write(&self, row: Row<T>) -> Result<(), sqlx::Error> {
        self.store.put(&row).await?;
        self.lock().put(row);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().expect("no change to a record panics")
    }
}

impl<T: Record> Rows<T> {
    fn put(&mut self, row: Row<T>) {
        self.remove(row.record.name().as_str());
        self.latest = self.latest.max(row.serial);
        self.orders.add(&row);
        self.by_name.insert(row.record.name().clone(), row);
    }

    fn remove(&mut self, name: &str) {
        if let Some(row) = self.by_name.remove(name) {
            self.orders.remove(&row);
        }
    }
}

impl<T> Clone for Row<T> {
    fn clone(&self) -> Self {
        let (record, tags) = (Arc::clone(&self.record), Arc::clone(&self.tags));
        Self { serial: self.serial, record, tags }
    }
}

#[cfg(test)]
mod tests;
