//! Decisions in the database, many to a transaction: a commit costs the same for one or for all.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyArguments;
use sqlx::error::BoxDynError;
use sqlx::{AnyConnection, Arguments, Connection};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::outage::is_outage;
use super::rows::Statement;
use super::{Store, unavailable, within};
use crate::policy::name::Name;
use crate::policy::scope::Outcome;
use crate::problem::{Kind, Problem};

/// The most decisions that wait for the writer; more are refused.
const QUEUE: usize = 1024;
/// The most decisions in one transaction.
const BATCH: usize = 256;

/// How long a caller waits for his decision to be kept, whatever holds the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a batch may take once it is being written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same where the spool takes it afterwards, and callers still wait.
const DETOUR_TIMEOUT: Duration = Duration::from_millis(500);

/// A verdict to keep.
#[derive(Debug, Deserialize, Serialize)]
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
    /// The scores that it was made by, as JSON.
    pub(crate) calls: String,
    /// Whether the content was drawn for people.
    pub(crate) sampled: bool,
    /// How likely that was.
    pub(crate) inclusion_probability: f64,
}

/// Hands decisions to the task that writes them.
#[derive(Clone, Debug)]
pub(crate) struct DecisionLog {
    queue: mpsc::Sender<Pending>,
    closing: CancellationToken,
}

/// A decision as it is stored.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Row {
    decided_at: String,
    pub(super) decision: Decision,
}

#[derive(Debug)]
struct Pending {
    row: Row,
    kept: oneshot::Sender<Result<String, Problem>>,
}

impl DecisionLog {
    /// Starts the writer, which ends when the log is closed and what it took is written.
    pub(crate) fn start(store: &Store) -> (Self, JoinHandle<()>) {
        let (log, decisions) = Self::with_queue(QUEUE);
        let writing = write_all(store.clone(), decisions, log.closing.clone());
        let outage = store.outage.clone().map(|outage| outage.watch(store.clone()));
        let writing = async {
            let _watching = outage.map(|outage| AbortOnDropHandle::new(tokio::spawn(outage)));
            writing.await;
        };
        (log, tokio::spawn(writing))
    }

    fn with_queue(size: usize) -> (Self, mpsc::Receiver<Pending>) {
        let (queue, decisions) = mpsc::channel(size);
        (Self { queue, closing: CancellationToken::new() }, decisions)
    }

    /// Returns the decision's response once the decision is committed.
    pub(crate) async fn keep(&self, decision: Decision) -> Result<String, Problem> {
        let (kept, result) = oneshot::channel();
        let row = Row { decided_at: Timestamp::now().to_string(), decision };
        self.queue.try_send(Pending { row, kept }).map_err(|error| match error {
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

async fn write_all(store: Store, mut queue: mpsc::Receiver<Pending>, closing: CancellationToken) {
    let (mut batch, mut writer) = (Vec::with_capacity(BATCH), Writer::new(store));
    while take(&mut queue, &mut batch, &closing).await {
        // Nobody would learn of the decisions of callers who have gone or given up.
        batch.retain(|pending: &Pending| !pending.kept.is_closed());
        if batch.is_empty() {
            continue;
        }
        let (rows, callers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|Pending { row, kept }| (row, kept)).unzip();
        let failure = writer.keep(&rows).await.err().map(|problem| problem.detail);
        for (row, kept) in rows.into_iter().zip(callers) {
            let result = match &failure {
                None => Ok(row.decision.response),
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

/// Writes decisions, on PostgreSQL over a connection that nobody else uses.
pub(super) struct Writer {
    store: Store,
    connection: Option<AnyConnection>,
    /// How long a batch may take.
    patience: Duration,
}

impl Writer {
    /// For decisions that callers wait for.
    fn new(store: Store) -> Self {
        let patience = if store.outage.is_some() { DETOUR_TIMEOUT } else { WRITE_TIMEOUT };
        Self { store, connection: None, patience }
    }

    /// For decisions that nobody waits for.
    pub(super) fn patient(store: Store) -> Self {
        Self { store, connection: None, patience: WRITE_TIMEOUT }
    }

    /// Writes them all, or spools them all where the database is away and there is a spool.
    async fn keep(&mut self, rows: &[Row]) -> Result<(), Problem> {
        let Some(outage) = self.store.outage.clone() else {
            return self.write(rows).await.map_err(|error| unavailable(&error));
        };
        if !outage.is_known() {
            match self.write(rows).await {
                Ok(()) => return Ok(()),
                Err(error) if is_outage(&error) => outage.begin(&error),
                Err(error) => return Err(unavailable(&error)),
            }
        }
        outage.spool(rows).await
    }

    /// Writes them all; those that are there already stay as they are.
    pub(super) async fn write(&mut self, rows: &[Row]) -> Result<(), sqlx::Error> {
        if self.store.outage.is_none() {
            let writing = async {
                let mut transaction = self.store.begin(PATIENCE).await?;
                INSERT.run(&mut transaction, rows, bind).await?;
                transaction.commit().await
            };
            return within(self.patience, writing).await;
        }
        // A connection on which something failed, or was given up, is not used again.
        let inserting = insert(&self.store, self.connection.take(), rows);
        self.connection = Some(within(self.patience, inserting).await?);
        Ok(())
    }
}

async fn insert(
    store: &Store,
    connection: Option<AnyConnection>,
    rows: &[Row],
) -> Result<AnyConnection, sqlx::Error> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => within(DETOUR_TIMEOUT, store.connect()).await?,
    };
    let mut transaction = connection.begin().await?;
    INSERT.run(&mut transaction, rows, bind).await?;
    transaction.commit().await?;
    Ok(connection)
}

const INSERT: Statement = Statement {
    head: "INSERT INTO decisions (decision_id, client, content_id, decided_at, decision,
                                  policy_version, request, response, calls, sampled,
                                  inclusion_probability) VALUES",
    columns: 11,
    // It may have been committed although the connection was cut before it said so.
    tail: " ON CONFLICT (decision_id) DO NOTHING",
};

fn bind(values: &mut AnyArguments, row: &Row) -> Result<(), BoxDynError> {
    let Row { decided_at, decision } = row;
    values.add(decision.decision_id.to_string())?;
    values.add(decision.client.as_str())?;
    values.add(&decision.content_id)?;
    values.add(decided_at)?;
    values.add(decision.decision.as_str())?;
    values.add(decision.policy_version)?;
    values.add(&decision.request)?;
    values.add(&decision.response)?;
    values.add(&decision.calls)?;
    values.add(i64::from(decision.sampled))?;
    values.add(decision.inclusion_probability)
}

impl Store {
    /// The client that was given an answer with this decision id, and the answer.
    pub(crate) async fn response(
        &self,
        decision_id: Uuid,
    ) -> Result<Option<(String, String)>, Problem> {
        // What is handed over meanwhile is in the database before it leaves the spool.
        if let Some(outage) = &self.outage
            && let Some(row) = outage.find(decision_id).await.map_err(|e| unavailable(&e))?
        {
            let Decision { client, response, .. } = row.decision;
            return Ok(Some((client.as_str().to_owned(), response)));
        }
        let find = "SELECT client, response FROM decisions WHERE decision_id = $1";
        let find = sqlx::query_as(find).bind(decision_id.to_string()).fetch_optional(&self.readers);
        within(super::PATIENCE, find).await.map_err(|error| unavailable(&error))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::example;
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
            calls: "[]".to_owned(),
            sampled: false,
            inclusion_probability: 0.0,
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
        let (store, _folder) = example::store().await;
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
