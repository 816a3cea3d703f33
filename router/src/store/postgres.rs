//! Opens a PostgreSQL database: one pool for everything.

use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Connection, PgConnection};

use super::location::show;
use super::{Server, Store, pool, within};
use crate::error::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

const CONNECTIONS: u32 = 8;
/// How long a new connection and what is first done on it may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to say that it lives, when it is taken or given back.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

// A router whose machine is gone must not hold up the others with a transaction half done. And what
// was acknowledged survives a crash of the server, even of one that is set up to be quicker than that.
const SESSION: &str =
    "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s';
     SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') = 'off'";

/// Opens the database, making its tables where they are missing.
pub(super) async fn open(server: &PgConnectOptions) -> Result<Store, Error> {
    let failed = |source| Error::DatabaseServer { database: show(server), source };
    let mut database = within(OPEN_TIMEOUT, server.connect()).await.map_err(failed)?;
    if let Some(reason) = foreign(&mut database).await.map_err(failed)? {
        return Err(Error::ForeignDatabase { path: show(server), reason });
    }
    // Takes a lock, so that routers that start together come one after another.
    MIGRATIONS.run(&mut database).await.map_err(|error| failed(error.into()))?;
    database.close().await.map_err(failed)?;
    connect(server).await.map_err(failed)
}

/// What shows that the database cannot be a router's; nothing for an empty one and for ours.
async fn foreign(database: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let text = sqlx::query_scalar::<_, String>;
    let encoding = text("SHOW server_encoding").fetch_one(&mut *database).await?;
    if encoding != "UTF8" {
        return Ok(Some(format!("its encoding is {encoding} and not UTF8")));
    }
    let signed =
        "SELECT 1 WHERE obj_description(to_regclass('versions'), 'pg_class') = 'Gatehouse'";
    if sqlx::query(signed).fetch_optional(&mut *database).await?.is_some() {
        return Ok(None);
    }
    let table = text(
        "SELECT tablename::text FROM pg_tables
         WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations'",
    );
    let table = table.fetch_optional(database).await?;
    Ok(table.map(|table| format!("it has a table `{table}` of another program")))
}

async fn connect(server: &PgConnectOptions) -> Result<Store, sqlx::Error> {
    let options = AnyConnectOptions::from_url(&server.to_url_lossy())?;
    let pool = pool(CONNECTIONS)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
        })
        // The pool's own tests would wait for a connection that was cut without a word until the
        // time to get one is up, or, when it is given back, for hours.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(lives(connection)))
        .after_release(|connection, _| Box::pin(lives(connection)))
        .connect_with(options)
        .await?;
    let server = Server::Postgres(Box::new(server.clone()));
    Ok(Store { server, writer: pool.clone(), readers: pool, outage: None })
}

impl Store {
    /// A connection beside the pool.
    pub(super) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        let mut connection = self.writer.connect_options().connect().await?;
        sqlx::raw_sql(SESSION).execute(&mut connection).await?;
        Ok(connection)
    }
}

async fn lives(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    within(PING_TIMEOUT, connection.ping()).await.map(|()| true)
}
