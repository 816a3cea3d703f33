//! Notices that something was changed in the database, by whatever process.
//!
//! PostgreSQL says so; SQLite can only be looked at again and again. A connection that was cut is
//! found by what is asked of it, each time within a second.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{AnyConnection, ConnectOptions, Executor};
use tokio::time::{sleep, timeout};

use super::{ANSWER_TIMEOUT, KEYS_CHANNEL, POLICY_CHANNEL, Server, Store, within};

/// Connections that nothing else waits for.
pub(crate) struct Watcher {
    /// Looks what was changed.
    pub(crate) database: AnyConnection,
    listener: Option<PgListener>,
}

impl Store {
    /// Connects, and begins to listen.
    pub(crate) async fn watch(&self) -> Result<Watcher, sqlx::Error> {
        within(ANSWER_TIMEOUT, async {
            // First, as it says at once why a server can't be reached.
            let database = self.readers.connect_options().connect().await?;
            let listener = match &self.server {
                Server::Sqlite => None,
                Server::Postgres(server) => {
                    // The listener wants a pool; it takes its only connection and keeps it.
                    let pool = PgPoolOptions::new().max_connections(1);
                    let pool = pool.connect_lazy_with(*server.clone());
                    let mut listener = PgListener::connect_with(&pool).await?;
                    listener.eager_reconnect(false);
                    listener.listen_all([POLICY_CHANNEL, KEYS_CHANNEL]).await?;
                    Some(listener)
                }
            };
            Ok(Watcher { database, listener })
        })
        .await
    }
}

impl Watcher {
    /// Waits until something was changed, or might have been since `interval` has passed.
    pub(crate) async fn changed(&mut self, interval: Duration) -> Result<(), sqlx::Error> {
        let Some(listener) = &mut self.listener else {
            sleep(interval).await;
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
