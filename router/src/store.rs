//! The database, SQLite or PostgreSQL: opened, migrated, written in transactions, read beside them.

mod location;
mod sqlite;
mod turn;
mod identity;
mod postgres;
mod rows;
pub(crate) mod audit;
pub(crate) mod decisions;
pub(crate) mod answered;
pub(crate) mod recent;
mod documents;
pub(crate) mod keys;
pub(crate) mod history;
mod outage;
mod spool;
pub(crate) mod watch;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, SqlSafeStr, Transaction};
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::problem::{Kind, Problem};

pub(crate) use documents::{Change, DocumentChange};
pub(crate) use location::Location;
use turn::{Taken, Turn};

/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the database may take for one thing that a caller waits for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a new connection may take: over a long way it is told a dozen things, one by one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the database may take to answer when it is only asked for news.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// PostgreSQL's channel for changes of the options.
pub(crate) const POLICY_CHANNEL: &str = "gatehouse_policy";
/// PostgreSQL's channel for changes of the keys.
pub(crate) const KEYS_CHANNEL: &str = "gatehouse_keys";

/// The router's database.
#[derive(Clone)]
pub(crate) struct Store {
    server: Server,
    /// SQLite has one writer at a time; waiting for its one connection is fair.
    writer: AnyPool,
    /// On SQLite, connections that read beside the writer; on PostgreSQL, the same as `writer`.
    readers: AnyPool,
    /// On SQLite, one that nothing but the keys waits for; on PostgreSQL, the same as `writer`.
    keys: AnyPool,
    /// On PostgreSQL, where decisions go while it is away.
    outage: Option<outage::Outage>,
}

/// Whose database it is.
#[derive(Clone)]
enum Server {
    /// A file has none; processes write to it in turns, where they can.
    Sqlite(Option<Turn>),
    Postgres(Box<PgConnectOptions>),
}

impl Store {
    /// Opens and migrates the database; a missing SQLite file is made, and its folder.
    pub(crate) async fn open(location: &Location) -> Result<Self, Error> {
        install_default_drivers();
        match location {
            Location::Sqlite(path) => sqlite::open(path).await,
            Location::Postgres(server) => postgres::open(server).await,
        }
    }

    /// The same store; if it is PostgreSQL's, with a spool in this folder for the time in which
    /// the database is away, and with a connection for the decisions.
    pub(crate) async fn with_spool(mut self, folder: &Path, limit_mb: u32) -> Result<Self, Error> {
        if let Server::Postgres(server) = &self.server {
            let id = sqlx::query_scalar("SELECT id FROM installation").fetch_one(&self.readers);
            let failed =
                |source| Error::DatabaseServer { database: location::show(server), source };
            let id: String = within(PATIENCE, id).await.map_err(failed)?;
            let shown = || folder.display().to_string();
            let outage = outage::Outage::open(folder, u64::from(limit_mb) << 20, &id)
                .await
                .map_err(|source| Error::Spool { path: shown(), source })?;
            outage.connect(&self).await.map_err(failed)?;
            self.outage = Some(outage);
        }
        Ok(self)
    }

    /// How many decisions wait for the database, and their bytes on the disk.
    pub(crate) async fn spooled(&self) -> (usize, u64) {
        match &self.outage {
            Some(outage) => outage.held().await.unwrap_or_default(),
            None => (0, 0),
        }
    }

    /// Begins to write. Of processes that share an SQLite file, one writes at a time; this waits
    /// for them as long as `patience` allows.
    pub(crate) async fn begin(
        &self,
        patience: Duration,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let deadline = Instant::now() + patience;
        loop {
            let connection = self.writer.acquire().await?;
            // Lined up for with the connection in hand: of a process's writers only one is in the
            // line, and between two of them there is room for other processes.
            let _turn = self.turn(deadline).await;
            let begin = match &self.server {
                Server::Sqlite(_) => "BEGIN IMMEDIATE",
                Server::Postgres(_) => "BEGIN",
            };
            match Transaction::begin(connection, Some(begin.into_sql_str())).await {
                Err(error) if is_busy(&error) && Instant::now() < deadline => {}
                result => return result,
            }
        }
    }

    /// Waits for the turn among the processes that share an SQLite file.
    async fn turn(&self, deadline: Instant) -> Option<Taken> {
        match &self.server {
            Server::Sqlite(Some(turn)) => turn.wait(deadline).await,
            Server::Sqlite(None) | Server::Postgres(_) => None,
        }
    }

    /// Tells the routers that listen, once the transaction is committed. SQLite's only look.
    pub(crate) async fn notify(
        &self,
        transaction: &mut AnyConnection,
        channel: &str,
        payload: &str,
    ) -> Result<(), sqlx::Error> {
        if matches!(self.server, Server::Postgres(_)) {
            let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(channel).bind(payload);
            notify.execute(transaction).await?;
        }
        Ok(())
    }

    /// Begins to read one state of the database, whatever is written meanwhile.
    async fn snapshot(&self, readers: &AnyPool) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let begin = match self.server {
            Server::Sqlite(_) => "BEGIN",
            Server::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        readers.begin_with(begin).await
    }

    /// The same, to read so much that one statement may take this long.
    async fn long_snapshot(
        &self,
        limit: Duration,
    ) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let mut snapshot = self.snapshot(&self.readers).await?;
        if matches!(self.server, Server::Postgres(_)) {
            let allow = format!("SET LOCAL statement_timeout = {}", limit.as_millis());
            sqlx::raw_sql(AssertSqlSafe(allow)).execute(&mut *snapshot).await?;
        }
        Ok(snapshot)
    }

    /// Writes back SQLite's log and releases the database.
    pub(crate) async fn close(&self) {
        self.keys.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl fmt::Debug for Store {
    // The options of a connection hold its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
}

/// Whether another process is writing to the SQLite file (SQLITE_BUSY, extended or not).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("5" | "261" | "517" | "773"))
}

/// A connection that was cut without a word never answers; this gives up on it.
async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let said = format!("the database did not answer within {limit:?}");
        Err(sqlx::Error::Io(io::Error::new(ErrorKind::TimedOut, said)))
    })
}

/// The refusal for a request that needed the database; the cause is logged here, once.
pub(crate) fn unavailable(error: &sqlx::Error) -> Problem {
    tracing::error!(%error, "the database does not answer as it should");
    Problem::new(Kind::StoreUnavailable, "the database is unavailable; try again later")
}

#[cfg(test)]
pub(crate) mod example {
    //! A database for the tests of the modules around.

    use tempfile::TempDir;

    use super::*;

    /// A new SQLite database and the folder that holds it.
    pub(crate) async fn store() -> (Store, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Sqlite(folder.path().join("a.db"))).await.unwrap();
        (store, folder)
    }
}
