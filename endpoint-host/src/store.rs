//! The host's SQLite file, in which every record is before anybody is told that it exists.

mod usage;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::record::Record;
use crate::registry::Row;

/// The open file; one connection, since SQLite has one writer at a time.
#[derive(Clone, Debug)]
pub(crate) struct Store(SqlitePool);

impl Store {
    /// Opens the file at `path`, making it where it is missing.
    pub(crate) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was answered for survives a power loss.
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self(pool))
    }

    /// All records of a kind with their tags, in the order of their creation.
    pub(crate) async fn load<T: Record>(&self) -> Result<Vec<Row<T>>, sqlx::Error> {
        let rows = sqlx::query_as::<_, (i64, String, String)>(
            "SELECT serial, document, tags FROM records WHERE kind = ? ORDER BY serial",
        );
        let rows = rows.bind(T::KIND).fetch_all(&self.0).await?;
        let row = |(serial, document, tags): (i64, String, String)| {
            let (record, tags) = (Arc::new(decode(&document)?), Arc::new(decode(&tags)?));
            Ok(Row { serial, record, tags })
        };
        rows.into_iter().map(row).collect()
    }

    /// Stores a record, in place of the one of its name if there is one.
    pub(crate) async fn put<T: Record>(&self, row: &Row<T>) -> Result<(), sqlx::Error> {
        let (document, tags) = (encode(row.record.as_ref())?, encode(row.tags.as_ref())?);
        let put = sqlx::query(
            "INSERT INTO records (kind, name, serial, document, tags) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (kind, name) \
             DO UPDATE SET document = excluded.document, tags = excluded.tags",
        );
        let put = put.bind(T::KIND).bind(row.record.name().as_str()).bind(row.serial);
        put.bind(document).bind(tags).execute(&self.0).await.map(|_| ())
    }

    /// Removes the record of that name.
    pub(crate) async fn remove<T: Record>(&self, name: &str) -> Result<(), sqlx::Error> {
        let remove = sqlx::query("DELETE FROM records WHERE kind = ? AND name = ?");
        remove.bind(T::KIND).bind(name).execute(&self.0).await.map(|_| ())
    }

    /// Writes back the log and releases the file.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    /// From now on the file may not grow, as on a full disk.
    #[cfg(test)]
    pub(crate) async fn limit_to_present_size(&self) {
        sqlx::query("PRAGMA max_page_count = 1").execute(&self.0).await.unwrap();
    }
}

fn encode(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
