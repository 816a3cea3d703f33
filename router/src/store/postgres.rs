//! Opens a PostgreSQL database: one pool for everything.

use std::time::Duration;

use sqlx::migrate::{Migrate, Migrator};
use sqlx::{AnyConnection, ConnectOptions, Connection, PgConnection};

use super::location::{ServerOptions, show};
use super::{CONNECT_TIMEOUT, Server, Store, pool, within};
use crate::error::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

const CONNECTIONS: u32 = 8;
/// How long the first connection may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long all migrations may take; the tables may be large.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection may take to say that it lives, when it is taken or given back.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

// A router whose machine is gone must not hold up the others with a transaction half done. And what
// was acknowledged survives a crash of the server, even of one that is set up to be quicker than that.
const SESSION: &str =
    "SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '10s';
     SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') = 'off'";

// Another router may migrate for as long as it is allowed to, and is waited for. That is what one
// statement may take too, whatever the user's own limit is.
const QUEUE_SESSION: &str = "SET lock_timeout = 0; SET statement_timeout = '600s';
     SET idle_in_transaction_session_timeout = '10s'";
// What holds a table, such as an old router that hangs, is not.
const MIGRATION_SESSION: &str = "SET lock_timeout = '60s'";

/// Opens the database, making its tables where they are missing.
pub(super) async fn open(server: &ServerOptions) -> Result<Store, Error> {
    let shown = || show(&server.own);
    let failed = |source| Error::DatabaseServer { database: shown(), source };
    let mut database = within(OPEN_TIMEOUT, server.own.connect()).await.map_err(failed)?;
    let migrating = within(MIGRATE_TIMEOUT, migrate(&mut database));
    if let Some(reason) = migrating.await.map_err(failed)? {
        return Err(Error::ForeignDatabase { path: shown(), reason });
    }
    // The lock ends with the connection.
    within(OPEN_TIMEOUT, database.close()).await.map_err(failed)?;
    connect(server).await.map_err(failed)
}

/// Makes the tables that are missing, or says what shows that the database cannot be a router's.
async fn migrate(database: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::raw_sql(QUEUE_SESSION).execute(&mut *database).await?;
    // Routers that start together come one after another: none looks at what one has half done.
    database.lock().await?;
    sqlx::raw_sql(MIGRATION_SESSION).execute(&mut *database).await?;
    let foreign = foreign(database).await?;
    if foreign.is_none() {
        MIGRATIONS.run(database).await?;
    }
    Ok(foreign)
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

async fn connect(server: &ServerOptions) -> Result<Store, sqlx::Error> {
    let pool = pool(CONNECTIONS)
        .acquire_timeout(CONNECT_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
        })
        // The pool's own tests would wait for a connection that was cut without a word until the
        // time to get one is up, or, when it is given back, for hours.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(lives(connection)))
        .after_release(|connection, _| Box::pin(lives(connection)))
        .connect_with(server.any.clone())
        .await?;
    let server = Server::Postgres(Box::new(server.own.clone()));
    Ok(Store { server, writer: pool.clone(), readers: pool.clone(), keys: pool, outage: None })
}

impl Store {
    /// A connection beside the pool.
    pub(super) async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        within(CONNECT_TIMEOUT, async {
            let mut connection = self.writer.connect_options().connect().await?;
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            Ok(connection)
        })
        .await
    }
}

async fn lives(connection: &mut AnyConnection) -> Result<bool, sqlx::Error> {
    within(PING_TIMEOUT, connection.ping()).await.map(|()| true)
}
