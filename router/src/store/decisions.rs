//! Decisions in the database, many to a transaction: a commit costs the same for one or for all.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqlitePool};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Store, unavailable};
use crate::policy::name::Name;
use crate::policy::scope::Outcome;
use crate::problem::{Kind, Problem};

/// The most decisions that wait for the writer; more are refused.
const QUEUE: usize = 1024;
/// The most decisions in one transaction.
const BATCH: usize = 256;

/// How long a caller waits for his decision to be kept, whatever holds the database.
const PATIENCE: Duration = Duration::from_secs(2);

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
pub(crate) struct DecisionLog {
    queue: mpsc::Sender<Pending>,
    closing: CancellationToken,
}

#[derive(Debug)]
struct Pending {
    decision: Decision,
    kept: oneshot::Sender<Result<String, Problem>>,
}

impl DecisionLog {
    /// Starts the writer, which ends when the log is closed and what it took is written.
    pub(crate) fn start(store: &Store) -> (Self, JoinHandle<()>) {
        let (log, decisions) = Self::with_queue(QUEUE);
        let writing = write_all(store.writer.clone(), decisions, log.closing.clone());
        (log, tokio::spawn(writing))
    }

    fn with_queue(size: usize) -> (Self, mpsc::Receiver<Pending>) {
        let (queue, decisions) = mpsc::channel(size);
        (Self { queue, closing: CancellationToken::new() }, decisions)
    }

    /// Returns the decision's response once the decision is committed.
    pub(crate) async fn keep(&self, decision: Decision) -> Result<String, Problem> {
        let (kept, result) = oneshot::channel();
        self.queue.try_send(Pending { decision, kept }).map_err(|error| match error {
            TrySendError::Full(_) => {
                let detail = "too many decisions wait for the database; try again later";
                Problem::new(Kind::Overloaded, detail)
            }
            TrySendError::Closed(_) => stopping(),
        })?;
        match timeout(PATIENCE, result).await {
            Ok(result) => result.map_err(|_| stopping())?,
            Err(_) => {
                let detail = "the decision could not be stored in time; try again later";
                Err(Problem::new(Kind::StoreUnavailable, detail))
            }
        }
    }

    /// Takes no more decisions; those taken are still written.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }
}

fn stopping() -> Problem {
    let detail = "the router is stopping and this decision was not stored; send it again";
    Problem::new(Kind::Stopping, detail)
}

async fn write_all(
    writer: SqlitePool,
    mut queue: mpsc::Receiver<Pending>,
    closing: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while take(&mut queue, &mut batch, &closing).await {
        // Nobody would learn of the decisions of callers who have gone or given up.
        batch.retain(|pending: &Pending| !pending.kept.is_closed());
        if batch.is_empty() {
            continue;
        }
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

/// Fills the batch, by waiting if need be; `false` once the queue is closed and empty.
async fn take(
    queue: &mut mpsc::Receiver<Pending>,
    batch: &mut Vec<Pending>,
    closing: &CancellationToken,
) -> bool {
    tokio::select! {
        biased;
        () = closing.cancelled(), if !queue.is_closed() => queue.close(),
        taken = queue.recv_many(batch, BATCH) => return taken > 0,
    }
    queue.recv_many(batch, BATCH).await > 0
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn decision() -> Decision {
        Decision {
            decision_id: Uuid::now_v7(),
            client: "a".parse().unwrap(),
            content_id: "r-1".to_owned(),
            decision: Outcome::Approve,
            policy_version: 1,
            request: "{}".to_owned(),
            response: "{}".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (log, _decisions) = DecisionLog::with_queue(1);
        let mut first = Box::pin(log.keep(decision()));
        assert!(first.as_mut().now_or_never().is_none());
        let refused = log.keep(decision()).now_or_never().unwrap().unwrap_err();
        assert_eq!(refused.kind, Kind::Overloaded);
    }

    #[tokio::test]
    async fn a_closed_log_writes_what_it_took_and_refuses_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db")).await.unwrap();
        let (log, writer) = DecisionLog::start(&store);
        let mut taken = Box::pin(log.keep(decision()));
        assert!(taken.as_mut().now_or_never().is_none());
        log.close();
        writer.await.unwrap();
        assert_eq!(taken.await.unwrap(), "{}");
        assert_eq!(log.keep(decision()).await.unwrap_err().kind, Kind::Stopping);
        store.close().await;
    }
}
