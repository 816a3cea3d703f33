//! Decisions while PostgreSQL is away: spooled on the local disk, and handed over when it is back.

use std::fmt;
use std::io;
use std::path::Path;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::{AnyConnection, Error};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Store;
use super::decisions::{Row, insert};
use super::spool::{Batch, Record, Spool};
use crate::problem::{Kind, Problem};

/// The pause between two looks for the database, or for something to hand over.
const PROBE: Duration = Duration::from_millis(200);
/// The pause after a fault that time alone won't heal.
const FAULT: Duration = Duration::from_secs(5);
/// The pause between two looks for what other processes left when they died.
const LOOK: Duration = Duration::from_secs(30);

/// How long the database may take for an answer when nobody waits for it; it gives up itself then.
const ANSWER: Duration = Duration::from_secs(12);

/// What a router does while its database is away.
#[derive(Clone)]
pub(crate) struct Outage {
    spool: Spool,
    /// Whether the database was away when it was last needed.
    away: Arc<AtomicBool>,
    /// A connection for the writer, which makes none itself.
    ready: Arc<Mutex<Option<AnyConnection>>>,
}

impl Outage {
    /// Opens the spool of this database in `folder`, which may hold those of others.
    pub(super) async fn open(folder: &Path, limit: u64, database: &str) -> io::Result<Self> {
        let spool = Spool::open(folder.join(database), limit).await?;
        Ok(Self { spool, away: Arc::default(), ready: Arc::default() })
    }

    /// Makes a connection for the writer, however long that takes.
    pub(super) async fn connect(&self, store: &Store) -> Result<(), Error> {
        let connection = store.connect().await?;
        *self.ready.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        Ok(())
    }

    /// The connection that was made for the writer, if it was not taken yet.
    pub(super) fn connection(&self) -> Option<AnyConnection> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether decisions are to be spooled without asking the database.
    pub(super) fn is_known(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// From now on decisions are spooled, until the database is found again.
    pub(super) fn begin(&self, error: &Error) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the database takes no decisions; they are spooled until it does");
        }
    }

    /// Sees whether the database is back, if it was away.
    async fn end(&self, store: &Store) -> Result<(), Error> {
        if self.is_known() {
            self.connect(store).await?;
            self.away.store(false, Ordering::Relaxed);
            tracing::info!("the database is back");
        }
        Ok(())
    }

    /// Keeps these decisions; they are on the disk afterwards.
    pub(super) async fn spool(&self, rows: &[Row]) -> Result<(), Problem> {
        let records = rows.iter().map(|row| {
            let body = serde_json::to_vec(row).expect("strings and numbers are always JSON");
            Record { id: row.decision.decision_id, body }
        });
        self.spool.append(records.collect()).await.map_err(|error| {
            tracing::error!(%error, "the database is away, and a decision could not be spooled");
            let detail = "the database is away and the spool takes no more; try again later";
            Problem::new(Kind::StoreUnavailable, detail)
        })
    }

    /// How many decisions wait for the database, and their bytes on the disk.
    pub(super) async fn held(&self) -> io::Result<(usize, u64)> {
        self.spool.held().await
    }

    /// The spooled decision with this id.
    pub(super) async fn find(&self, decision_id: Uuid) -> Result<Option<Row>, Error> {
        let body = self.spool.find(decision_id).await.map_err(local)?;
        body.map(|body| read(&body)).transpose()
    }

    /// Looks for the database while it is away and hands over what was spooled, for as long as it
    /// is polled.
    pub(super) async fn watch(self, store: Store) {
        let (mut looked, mut known_fault) = (Instant::now(), None);
        loop {
            sleep(PROBE).await;
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                if let Err(error) = self.spool.take_over().await {
                    tracing::warn!(%error, "cannot look through the spool");
                }
            }
            let Err(error) = self.hand_over(&store).await else {
                known_fault = None;
                continue;
            };
            if is_outage(&error) {
                self.begin(&error);
                continue;
            }
            let fault = Some(error.to_string());
            if fault != known_fault {
                tracing::error!(%error, "what was spooled cannot be handed over; it is kept");
            }
            known_fault = fault;
            // Whatever is wrong with those, a database that is there is given the new ones. If it
            // is not there, the next look tells.
            drop(self.end(&store).await);
            sleep(FAULT).await;
        }
    }

    /// Hands over all that is spooled; if that is nothing, sees whether the database is back.
    async fn hand_over(&self, store: &Store) -> Result<(), Error> {
        let (mut connection, mut decisions) = (None, 0);
        while let Some(batch) = self.spool.next().await.map_err(local)? {
            let ((rows, mut aside), mut refused) = (rows(&batch), Vec::new());
            if !rows.is_empty() {
                let mut database = match connection.take() {
                    Some(database) => database,
                    None => store.connect().await?,
                };
                refused = give(&mut database, &rows).await?;
                connection = Some(database);
                decisions += rows.len() - refused.len();
                let is_refused = |it: &&Record| refused.iter().any(|(id, _)| *id == it.id);
                aside.extend(batch.records.iter().filter(is_refused).cloned());
            }
            self.set_aside(aside).await?;
            // Not before: what breaks off is done again.
            for (id, error) in refused {
                tracing::error!(%error, %id, "the database refuses a spooled decision");
            }
            self.spool.forget(batch).await.map_err(local)?;
            self.end(store).await?;
        }
        if decisions > 0 {
            tracing::info!(decisions, "the spool was handed over to the database");
        }
        self.end(store).await
    }

    /// Keeps these where they hold up no others.
    async fn set_aside(&self, records: Vec<Record>) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let decisions = records.len();
        let file = self.spool.copy_aside(records).await.map_err(local)?;
        tracing::error!(
            decisions,
            file = %file.display(),
            "spooled decisions that this router cannot read, or that the database refuses, are set \
             aside; if the file's name ends in .spool again they are tried again"
        );
        Ok(())
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outage").field("away", &self.away).finish_non_exhaustive()
    }
}

/// What this router can read, and the rest.
fn rows(batch: &Batch) -> (Vec<Row>, Vec<Record>) {
    let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
    for record in &batch.records {
        match read(&record.body) {
            Ok(row) => rows.push(row),
            Err(_) => unreadable.push(record.clone()),
        }
    }
    (rows, unreadable)
}

/// Gives these to the database; says which it will not have, whatever comes with them.
async fn give(database: &mut AnyConnection, rows: &[Row]) -> Result<Vec<(Uuid, Error)>, Error> {
    match insert(database, rows, ANSWER).await {
        Err(error) if is_refusal(&error) => {}
        given => return given.map(|()| Vec::new()),
    }
    let mut refused = Vec::new();
    for row in rows {
        match insert(database, slice::from_ref(row), ANSWER).await {
            Err(error) if is_refusal(&error) => refused.push((row.decision.decision_id, error)),
            given => given?,
        }
    }
    Ok(refused)
}

/// A fault of this machine, which says nothing about the database.
fn local(error: io::Error) -> Error {
    Error::Decode(error.into())
}

fn read(body: &[u8]) -> Result<Row, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Decode(error.into()))
}

/// Whether it is what was given that the database does not want, and will not want another time.
fn is_refusal(error: &Error) -> bool {
    // Of PostgreSQL's classes: data that can't be, and data that a constraint forbids.
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
    code.starts_with("22") || code.starts_with("23")
}

/// Whether it is the database that is not there, and not that it does not want what it was given.
pub(super) fn is_outage(error: &Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return !matches!(error, Error::Encode(_) | Error::Decode(_));
    };
    // Of PostgreSQL's classes: the connection, its permission, the missing database, a rollback
    // for the sake of others, a table that is not there or not for this user, a lack of resources,
    // an operator's intervention, the system; and of another class, a server that only reads, such
    // as one that is about to take over.
    let classes = ["08", "28", "3D", "40", "42", "53", "57", "58"];
    let code = error.code().unwrap_or_default();
    code == "25006" || classes.iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::super::decisions::example::row;
    use super::super::example;
    use super::*;

    #[tokio::test]
    async fn nothing_is_set_aside_while_the_database_is_away() {
        // SQLite takes no connection as PostgreSQL does.
        let (store, _folder) = example::store().await;
        let folder = tempfile::tempdir().unwrap();
        let outage = Outage::open(folder.path(), 1 << 20, "id").await.unwrap();
        let unreadable = Record { id: Uuid::now_v7(), body: b"{}".to_vec() };
        outage.spool.append(vec![unreadable]).await.unwrap();
        outage.spool(&[row()]).await.unwrap();
        outage.hand_over(&store).await.unwrap_err();
        let files = folder.path().join("id").read_dir().unwrap();
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(outage.held().await.unwrap().0, 2);
        store.close().await;
    }
}
