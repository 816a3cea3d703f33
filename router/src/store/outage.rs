//! Decisions while PostgreSQL is away: spooled on the local disk, and handed over when it is back.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Error;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Store;
use super::decisions::{Row, Writer};
use super::spool::{Record, Spool};
use crate::problem::{Kind, Problem};

/// The pause between two looks for the database, or for something to hand over.
const PROBE: Duration = Duration::from_millis(200);
/// The pause after a fault that time alone won't heal.
const FAULT: Duration = Duration::from_secs(5);
/// The pause between two looks for what other processes left when they died.
const LOOK: Duration = Duration::from_secs(30);

/// What a router does while its database is away.
#[derive(Clone)]
pub(crate) struct Outage {
    spool: Spool,
    /// Whether the database was away when it was last needed.
    away: Arc<AtomicBool>,
}

impl Outage {
    /// Opens the spool of this database in `folder`, which may hold those of others.
    pub(super) async fn open(folder: &Path, limit: u64, database: &str) -> io::Result<Self> {
        let spool = Spool::open(folder.join(database), limit).await?;
        Ok(Self { spool, away: Arc::default() })
    }

    /// Whether decisions are to be spooled without asking the database.
    pub(super) fn is_known(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// From now on decisions are spooled, until the database is found again.
    pub(super) fn begin(&self, error: &Error) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the database is away; decisions are spooled until it is back");
        }
    }

    fn end(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("the database is back");
        }
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
            sleep(FAULT).await;
        }
    }

    /// Hands over all that is spooled; if that is nothing, sees whether the database is back.
    async fn hand_over(&self, store: &Store) -> Result<(), Error> {
        let (mut writer, mut decisions) = (Writer::patient(store.clone()), 0);
        while let Some(batch) = self.spool.next().await.map_err(local)? {
            let rows = batch.records.iter().map(|record| read(&record.body));
            let Ok(rows) = rows.collect::<Result<Vec<_>, _>>() else {
                self.spool.set_aside(batch).await.map_err(local)?;
                continue;
            };
            writer.write(&rows).await?;
            decisions += rows.len();
            self.spool.forget(batch).await.map_err(local)?;
            self.end();
        }
        if decisions > 0 {
            tracing::info!(decisions, "the spool was handed over to the database");
        }
        if self.is_known() {
            writer.write(&[]).await?;
            self.end();
        }
        Ok(())
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outage").field("away", &self.away).finish_non_exhaustive()
    }
}

/// A fault of this machine, which says nothing about the database.
fn local(error: io::Error) -> Error {
    Error::Decode(error.into())
}

fn read(body: &[u8]) -> Result<Row, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Decode(error.into()))
}

/// Whether it is the database that is not there, and not that it does not want what it was given.
pub(super) fn is_outage(error: &Error) -> bool {
    let Some(error) = error.as_database_error() else {
        return !matches!(error, Error::Encode(_) | Error::Decode(_));
    };
    // Of PostgreSQL's classes: the connection, its permission, the missing database, a rollback
    // for the sake of others, a lack of resources, an operator's intervention, the system; and of
    // another class, a server that only reads, such as one that is about to take over.
    let classes = ["08", "28", "3D", "40", "53", "57", "58"];
    let code = error.code().unwrap_or_default();
    code == "25006" || classes.iter().any(|class| code.starts_with(class))
}
