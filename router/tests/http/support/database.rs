//! The database of one test: an SQLite file or a database of the PostgreSQL cluster.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use super::postgres;
use crate::ON_POSTGRES;

/// A database that is gone when nobody holds it any more.
#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(Arc<TempDir>),
    Postgres(Arc<postgres::Database>),
}

impl Database {
    /// A new one, of the kind that this suite is run on.
    pub(crate) fn new() -> Self {
        if ON_POSTGRES {
            Self::Postgres(Arc::new(postgres::Database::new()))
        } else {
            Self::Sqlite(Arc::new(tempfile::tempdir().unwrap()))
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            // In a folder that the router is to make.
            Self::Sqlite(folder) => format!("sqlite://{}/new/a.db", folder.path().display()),
            Self::Postgres(database) => database.url.clone(),
        }
    }

    /// The folder for decisions while the database is away.
    pub(crate) fn spool(&self) -> PathBuf {
        match self {
            Self::Sqlite(folder) => folder.path().join("spool"),
            Self::Postgres(database) => database.folder.path().join("spool"),
        }
    }

    /// A connection beside the router's.
    pub(crate) async fn connect(&self) -> AnyConnection {
        install_default_drivers();
        AnyConnection::connect(&self.url()).await.unwrap()
    }

    /// Keeps routers from writing for as long as the connection lives.
    pub(crate) async fn hold(&self) -> AnyConnection {
        let mut holder = self.connect().await;
        let hold = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN; LOCK TABLE versions, decisions IN SHARE MODE",
        };
        sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
        holder
    }
}
