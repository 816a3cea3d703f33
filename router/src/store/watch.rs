//! Notices that something was changed in the database, by whatever process.
//!
//! PostgreSQL says so; SQLite can only be looked at again and again. A connection that was cut is
//! found by what is asked of it, each time within a second; a new one may come from far away.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AnyConnection, ConnectOptions, Executor};
use tokio::time::{sleep, timeout};

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, KEYS_CHANNEL, POLICY_CHANNEL, Server, Store, within};

/// How often a SQLite file, which tells nobody, is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Connections that nothing else waits for.
pub(crate) struct Watcher {
    /// Looks what was changed.
    pub(crate) database: AnyConnection,
    listener: Option<PgListener>,
}

impl Store {
    /// Connects, and begins to listen.
    pub(crate) async fn watch(&self) -> Result<Watcher, sqlx::Error> {
        // First, as it says at once why a server can't be reached.
        let options = self.readers.connect_options();
        let database = within(CONNECT_TIMEOUT, options.connect()).await?;
        let listener = match &self.server {
            Server::Sqlite(_) => None,
            Server::Postgres(server) => Some(within(CONNECT_TIMEOUT, listen(server)).await?),
        };
        Ok(Watcher { database, listener })
    }
}

async fn listen(server: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // The listener wants a pool; it takes its only connection and keeps it.
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(server.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all([POLICY_CHANNEL, KEYS_CHANNEL]).await?;
    Ok(listener)
}

impl Watcher {
    /// Waits until something was changed, or might have been since `interval` has passed.
    pub(crate) async fn changed(&mut self, interval: Duration) -> Result<(), sqlx::Error> {
        let Some(listener) = &mut self.listener else {
            sleep(interval.min(LOOK_AGAIN)).await;
            return Ok(());
        };
        match timeout(interval, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {
                // Of many changes at once, the last one is enough.
                while listener.next_buffered().is_some() {}
                Ok(())
            }
            Ok(Ok(None)) => Err(sqlx::Error::Io(ErrorKind::ConnectionReset.into())),
            Ok(Err(error)) => Err(error),
            Err(_) => within(ANSWER_TIMEOUT, listener.execute("SELECT 1")).await.map(drop),
        }
    }
}
