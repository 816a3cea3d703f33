//! Tells a router's SQLite database from those of other programs, before anything in it is touched.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

/// `Gate` in ASCII, as SQLite keeps it in a file's header.
const APPLICATION_ID: i64 = 0x4761_7465;

/// What shows that the file at `path` is another program's; nothing for a new or unsigned one.
pub(super) async fn foreign(path: &Path) -> Result<Option<String>, sqlx::Error> {
    if !path.exists() {
        return Ok(None);
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut database = options.connect().await?;
    let foreign = look(&mut database).await;
    database.close().await?;
    foreign
}

async fn look(database: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *database).await?;
    if id == APPLICATION_ID {
        return Ok(None);
    }
    if id != 0 {
        return Ok(Some(format!("its application_id is {id}, that of another program")));
    }
    let table = sqlx::query_scalar::<_, String>(
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'
           AND name NOT IN ('_sqlx_migrations', 'documents', 'versions', 'changes', 'decisions',
                          'keys', 'audit')",
    )
    .fetch_optional(database)
    .await?;
    Ok(table.map(|table| format!("it has a table `{table}` of another program")))
}

/// Marks the database as a router's.
pub(super) async fn sign(database: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *database).await?;
    if id != APPLICATION_ID {
        sqlx::raw_sql("PRAGMA application_id = 1197569125").execute(database).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Location, Store};
    use super::*;
    use crate::error::Error;

    async fn fault(sql: &'static str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut database = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
        let before = std::fs::read(&path).unwrap();
        match Store::open(&Location::Sqlite(path.clone())).await {
            Ok(store) => {
                store.close().await;
                None
            }
            Err(error) => {
                assert!(matches!(error, Error::ForeignDatabase { .. }), "{error}");
                assert_eq!(std::fs::read(&path).unwrap(), before, "it must not be touched");
                Some(error.to_string())
            }
        }
    }

    #[tokio::test]
    async fn another_programs_database_is_refused_untouched() {
        let signed = fault("PRAGMA application_id = 17; CREATE TABLE documents (x)").await.unwrap();
        assert!(signed.contains("application_id is 17"), "{signed}");
        let unsigned = fault("CREATE TABLE invoices (x)").await.unwrap();
        assert!(unsigned.contains("`invoices`"), "{unsigned}");
        assert_eq!(fault("VACUUM").await, None);
    }

    #[tokio::test]
    async fn a_database_is_signed_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for _ in 0..2 {
            let store = Store::open(&Location::Sqlite(path.clone())).await.unwrap();
            let id = sqlx::query_scalar::<_, i64>("PRAGMA application_id");
            assert_eq!(id.fetch_one(&store.writer).await.unwrap(), APPLICATION_ID);
            let table = sqlx::query("CREATE TABLE IF NOT EXISTS notes_of_the_operator (x)");
            table.execute(&store.writer).await.unwrap();
            store.close().await;
        }
    }
}
