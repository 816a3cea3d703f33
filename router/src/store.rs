//! The database: opened, migrated, with one connection that writes and several that read.

pub(crate) mod decisions;
mod documents;
mod identity;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::Error;
use crate::problem::{Kind, Problem};

pub(crate) use documents::Change;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long to wait for a lock that another process holds; callers wait for what is behind it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const READERS: u32 = 4;

/// The router's SQLite file.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// One connection: SQLite has one writer at a time, and waiting here is fair.
    writer: SqlitePool,
    /// Read beside the writer, as the write-ahead log allows.
    readers: SqlitePool,
}

impl Store {
    /// Opens the file at `path`, making it and its folder where they are missing.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let shown = || path.display().to_string();
        let failed = |source| Error::Database { path: shown(), source };
        if let Some(reason) = identity::foreign(path).await.map_err(failed)? {
            return Err(Error::ForeignDatabase { path: shown(), reason });
        }
        Self::create(path).await.map_err(failed)
    }

    async fn create(path: &Path) -> Result<Self, sqlx::Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged survives a power loss; a batch costs one flush.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = pool(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        identity::sign(&writer).await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers })
    }

    /// Writes back the log and releases the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
}

/// The file that a `sqlite://` URL names.
pub(crate) fn sqlite_file(url: &str) -> Result<PathBuf, Error> {
    let refusal = |shown: &str, reason| Err(Error::DatabaseUrl { url: shown.to_owned(), reason });
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        // The rest of such a URL may hold a password.
        return refusal("postgres://…", "PostgreSQL is not supported yet");
    }
    match url.strip_prefix("sqlite://").map(|rest| rest.split_once('?').unwrap_or((rest, ""))) {
        None => refusal(url.split("://").next().unwrap_or_default(), "not a sqlite:// URL"),
        Some((_, query)) if !query.is_empty() => refusal(url, "parameters are not supported"),
        Some(("" | ":memory:", _)) => refusal(url, "it names no file"),
        Some((path, _)) => Ok(path.into()),
    }
}

/// The refusal for a request that needed the database; the cause is logged here, once.
pub(crate) fn unavailable(error: &sqlx::Error) -> Problem {
    tracing::error!(%error, "the database does not answer as it should");
    Problem::new(Kind::StoreUnavailable, "the database is unavailable; try again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_committed_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db")).await.unwrap();
        let synchronous = sqlx::query_scalar::<_, i64>("PRAGMA synchronous");
        // 2 is FULL.
        assert_eq!(synchronous.fetch_one(&store.writer).await.unwrap(), 2);
        store.close().await;
    }

    #[test]
    fn a_sqlite_url_names_a_file() {
        assert_eq!(sqlite_file("sqlite://data/a.db").unwrap(), Path::new("data/a.db"));
        assert_eq!(sqlite_file("sqlite:///tmp/a.db").unwrap(), Path::new("/tmp/a.db"));
    }

    #[test]
    fn other_urls_are_refused_without_their_password() {
        let fault = sqlite_file("postgres://me:secret@host/db").unwrap_err().to_string();
        assert!(fault.contains("PostgreSQL is not supported yet"), "{fault}");
        assert!(!fault.contains("secret"), "{fault}");
        for url in
            ["mysql://x", "data/a.db", "sqlite://", "sqlite://:memory:", "sqlite://a?mode=ro"]
        {
            assert!(sqlite_file(url).is_err(), "{url}");
        }
    }
}
