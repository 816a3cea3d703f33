//! Opens an SQLite file: one connection that writes, several that read beside it.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::turn::Turn;
use super::{Server, Store, identity};
use crate::error::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long to wait for other processes while the file is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 4;

// What was acknowledged survives a power loss; a batch costs one flush. SQLite pauses longer and
// longer while another process writes; beginning anew after 100 ms keeps the pauses short.
const WRITER: &str = "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 100";

/// Opens the file at `path`, making it and its folder where they are missing.
pub(super) async fn open(path: &Path) -> Result<Store, Error> {
    let shown = || path.display().to_string();
    let failed = |source| Error::Database { path: shown(), source };
    if let Some(reason) = identity::foreign(path).await.map_err(failed)? {
        return Err(Error::ForeignDatabase { path: shown(), reason });
    }
    prepare(path).await.map_err(failed)?;
    connect(path).await.map_err(failed)
}

/// Makes and migrates the file.
async fn prepare(path: &Path) -> Result<(), sqlx::Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(OPEN_TIMEOUT);
    let mut database = options.connect().await?;
    migrate(&mut database).await?;
    identity::sign(&mut database).await?;
    database.close().await
}

/// A router that starts at the same moment may get in before any of the migrations, which fails
/// here and is found done the next time.
async fn migrate(database: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for _ in MIGRATIONS.iter() {
        if MIGRATIONS.run(&mut *database).await.is_ok() {
            return Ok(());
        }
    }
    Ok(MIGRATIONS.run(database).await?)
}

async fn connect(path: &Path) -> Result<Store, sqlx::Error> {
    let set_up_writer = pool(1).after_connect(|connection, _| {
        Box::pin(async move { sqlx::raw_sql(WRITER).execute(connection).await.map(drop) })
    });
    let writer = set_up_writer.connect_with(options(path, false)?).await?;
    let readers = pool(READERS).connect_with(options(path, true)?).await?;
    let keys = pool(1).connect_with(options(path, true)?).await?;
    // Which another user's router may have made for itself.
    let turn = Turn::at(path).inspect_err(|error| {
        tracing::warn!(%error, "cannot open the file by which processes take turns to write");
    });
    Ok(Store { server: Server::Sqlite(turn.ok()), writer, readers, keys, outage: None })
}

/// A connection to a file is not lost, so it is not asked each time whether it is there.
fn pool(connections: u32) -> AnyPoolOptions {
    super::pool(connections).test_before_acquire(false)
}

/// The file as the URL that `Any` demands, in which `%` has a meaning and `..` is lost.
fn options(path: &Path, read_only: bool) -> Result<AnyConnectOptions, sqlx::Error> {
    let path = std::fs::canonicalize(path)?;
    let text = path.to_str().ok_or_else(|| io::Error::other("its path is not UTF-8"))?;
    let options = SqliteConnectOptions::new().filename(text.replace('%', "%25"));
    AnyConnectOptions::from_url(&options.read_only(read_only).to_url_lossy())
}

#[cfg(test)]
mod tests {
    use super::super::{Location, example};
    use super::*;

    #[tokio::test]
    async fn what_is_committed_is_on_the_disk() {
        let (store, _folder) = example::store().await;
        let synchronous = sqlx::query_scalar::<_, i64>("PRAGMA synchronous");
        // 2 is FULL.
        assert_eq!(synchronous.fetch_one(&store.writer).await.unwrap(), 2);
        let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode");
        assert_eq!(mode.fetch_one(&store.readers).await.unwrap(), "wal");
        store.close().await;
    }

    /// A database as version 0.1 left it, with one document changed twice and two decisions.
    const OLD: &str = "
        INSERT INTO changes VALUES (1, '2026-01-01T00:00:00Z', 'anonymous', 'first',
                                    'scopes/platform', NULL, '{}');
        INSERT INTO changes VALUES (2, '2026-01-02T00:00:00Z', 'anonymous', NULL,
                                    'scopes/platform', '{}', '{ }');
        INSERT INTO documents VALUES ('scopes/platform', 2, '{ }');
        INSERT INTO decisions VALUES ('d-1', 'a', 'r-1', '2026-01-03', 'review', 2, '{}', '{\"x\":1}');
        INSERT INTO decisions VALUES ('d-2', 'a', 'r-2', '2026-01-03', 'reject', 2, '{}', '{}')";

    #[tokio::test]
    async fn a_database_of_an_older_router_keeps_all_that_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut old = options.connect().await.unwrap();
        let first_two = MIGRATIONS.iter().take(2).cloned().collect();
        Migrator::with_migrations(first_two).run(&mut old).await.unwrap();
        sqlx::raw_sql(OLD).execute(&mut old).await.unwrap();
        old.close().await.unwrap();

        let store = Store::open(&Location::Sqlite(path)).await.unwrap();
        let versions = store.versions(9, 9).await.unwrap();
        let shown: Vec<_> = versions
            .iter()
            .map(|v| (v.version, &*v.changed_at, v.reason.as_deref(), &*v.subjects[0]))
            .collect();
        let platform = "scopes/platform";
        let expected = [
            (2, "2026-01-02T00:00:00Z", None, platform),
            (1, "2026-01-01T00:00:00Z", Some("first"), platform),
        ];
        assert_eq!(shown, expected);
        let change = store.changes(2).await.unwrap().remove(0);
        assert_eq!((change.before.as_deref(), change.after.as_deref()), (Some("{}"), Some("{ }")));
        assert_eq!(&*store.state(1).await.unwrap()[0].1, "{}");
        let policy = store.load_policy().await.unwrap().unwrap();
        assert_eq!(policy.version, 2);
        assert_eq!(&*policy.document(&platform.parse().unwrap()).unwrap().text, "{ }");
        let decisions =
            "SELECT decision_id || decision || response || coalesce(calls, '?') || sampled
                         FROM decisions ORDER BY decision_id";
        let decisions = sqlx::query_scalar::<_, String>(decisions).fetch_all(&store.readers).await;
        assert_eq!(decisions.unwrap(), [r#"d-1review{"x":1}?0"#, "d-2reject{}?0"]);
        store.close().await;
    }

    #[test]
    fn migrations_that_were_released_stay_as_they_are() {
        // A router that finds another text in a database does not start.
        let beginnings = MIGRATIONS.iter().take(2).map(|migration| &migration.checksum[..8]);
        let released = [
            [0x4a, 0xb1, 0x5b, 0xb4, 0xab, 0x21, 0x3e, 0x15],
            [0xd9, 0x66, 0xab, 0x65, 0x35, 0xaa, 0xce, 0xb1],
        ];
        assert_eq!(beginnings.collect::<Vec<_>>(), released);
    }

    #[tokio::test]
    async fn a_file_may_have_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("100%25 ?#é/a b.db");
        let store = Store::open(&Location::Sqlite(path.clone())).await.unwrap();
        store.close().await;
        assert!(path.exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn routers_that_start_together_share_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("a.db"));
        let stores = (0..4).map(|_| Store::open(&location));
        for store in futures_util::future::join_all(stores).await {
            store.unwrap().close().await;
        }
    }
}
