//! Decisions in the database, many to a transaction: a commit costs the same for one or for all.

use jiff::Timestamp;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqlitePool};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Store, unavailable};
use crate::policy::name::Name;
use crate::policy::scope::Outcome;
use crate::problem::{Kind, Problem};

/// The most decisions that wait for the writer before callers have to.
const QUEUE: usize = 1024;
/// The most decisions in one transaction.
const BATCH: usize = 256;

/// A verdict to keep.
#[derive(Debug)]
pub(crate) struct Decision {
    /// Made of the time, so that rows are appended in order.
    pub(crate) decision_id: Uuid,
    /// Whose content it was.
    pub(crate) client: Name,
    /// The caller's own name for the content.
    pub(crate) content_id: String,
    /// The verdict.
    pub(crate) decision: Outcome,
    /// The options that it was made by.
    pub(crate) policy_version: i64,
    /// The request's text.
    pub(crate) request: String,
    /// The answer's text.
    pub(crate) response: String,
}

/// Hands decisions to the task that writes them.
#[derive(Clone, Debug)]
pub(crate) struct DecisionLog(mpsc::Sender<Pending>);

#[derive(Debug)]
struct Pending {
    decision: Decision,
    kept: oneshot::Sender<Result<String, Problem>>,
}

impl DecisionLog {
    /// Starts the writer, which ends when all handles are gone and their decisions are written.
    pub(crate) fn start(store: &Store) -> (Self, JoinHandle<()>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), tokio::spawn(write_all(store.writer.clone(), queue)))
    }

    /// Returns the decision's response once the decision is committed.
    pub(crate) async fn keep(&self, decision: Decision) -> Result<String, Problem> {
        let stopped = || Problem::new(Kind::StoreUnavailable, "the router is shutting down");
        let (kept, result) = oneshot::channel();
        self.0.send(Pending { decision, kept }).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }
}

async fn write_all(writer: SqlitePool, mut queue: mpsc::Receiver<Pending>) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let failure = write(&writer, &batch).await.err().map(|error| unavailable(&error).detail);
        for Pending { decision, kept } in batch.drain(..) {
            let result = match &failure {
                None => Ok(decision.response),
                Some(detail) => Err(Problem::new(Kind::StoreUnavailable, detail)),
            };
            // A caller that has gone away needs no acknowledgement.
            drop(kept.send(result));
        }
    }
}

async fn write(writer: &SqlitePool, batch: &[Pending]) -> Result<(), sqlx::Error> {
    let decided_at = Timestamp::now().to_string();
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    for Pending { decision, .. } in batch {
        insert(decision, &decided_at).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn insert<'a>(
    decision: &'a Decision,
    decided_at: &'a str,
) -> sqlx::query::Query<'a, Sqlite, SqliteArguments> {
    sqlx::query(
        "INSERT INTO decisions (decision_id, client, content_id, decided_at, decision,
                                policy_version, request, response)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(decision.decision_id.to_string())
    .bind(decision.client.as_str())
    .bind(&decision.content_id)
    .bind(decided_at)
    .bind(decision.decision.as_str())
    .bind(decision.policy_version)
    .bind(&decision.request)
    .bind(&decision.response)
}

impl Store {
    /// The answer that was given with this decision id.
    pub(crate) async fn response(&self, decision_id: Uuid) -> Result<Option<String>, Problem> {
        sqlx::query_scalar("SELECT response FROM decisions WHERE decision_id = ?")
            .bind(decision_id.to_string())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| unavailable(&error))
    }
}
