//! Decisions in the database, many to a transaction: a commit costs the same for one or for all.

mod expected;

use std::io::ErrorKind::NotConnected;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyArguments;
use sqlx::error::BoxDynError;
use sqlx::{AnyConnection, Arguments};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::outage::{Outage, is_outage};
use super::rows::{FEW_ROWS, Statement};
use super::{Store, is_busy, unavailable, within};
use crate::fanout::latencies::Latencies;
use crate::policy::name::Name;
use crate::policy::scope::Outcome;
use crate::problem::{Kind, Problem};

use expected::Expectations;
pub(crate) use expected::{Awaited, Expected};

/// The most decisions that wait for the writer; more are refused.
const QUEUE: usize = 1024;
/// The most decisions in one transaction.
const BATCH: usize = 256;
/// Transactions begin no sooner than this after one another while most of the decisions under way
/// are still to come: where they come thick and fast, more of them share the cost of one.
const INTERVAL: Duration = Duration::from_millis(4);

/// How long a caller waits for his decision to be kept while no other is, whatever holds the
/// database.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a batch may take once it is being written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the database may take for an answer where the spool takes the batch afterwards.
const QUICK_ANSWER: Duration = Duration::from_millis(500);

/// A verdict to keep.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Decision {
    /// Made of the time, so that rows are appended in order.
    pub(crate) decision_id: Uuid,
    /// The decision whose place it takes.
    #[serde(default)]
    pub(crate) supersedes: Option<Uuid>,
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
    progress: Progress,
}

/// What the log and its writer tell each other besides.
#[derive(Clone, Debug, Default)]
struct Progress {
    closing: CancellationToken,
    /// How many decisions callers wait for.
    expectations: Expectations,
    /// How many batches were written.
    written: Arc<AtomicUsize>,
    /// How long callers have waited for them: who had waited longest counts for all of a batch.
    waits: Arc<Mutex<Latencies>>,
}

impl Progress {
    fn note(&self, since: Option<Instant>) {
        self.written.fetch_add(1, Ordering::Relaxed);
        if let Some(since) = since {
            self.lock().note(since.elapsed());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latencies> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A decision as it is stored, or spooled.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Row {
    #[serde(default)]
    format: Format,
    decided_at: String,
    pub(super) decision: Decision,
}

/// The layout of a row in a spool; that of a later router is left to that.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(try_from = "u32", into = "u32")]
struct Format;

impl From<Format> for u32 {
    fn from(_: Format) -> Self {
        1
    }
}

impl TryFrom<u32> for Format {
    type Error = &'static str;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if number == 1 { Ok(Self) } else { Err("a row of another router's layout") }
    }
}

#[derive(Debug)]
struct Pending {
    row: Row,
    /// The caller who waits, if one does.
    caller: Option<Awaited>,
    kept: oneshot::Sender<Result<String, Problem>>,
}

impl Pending {
    /// Since when a caller waits, if one does.
    fn since(&self) -> Option<Instant> {
        self.caller.as_ref().map(Awaited::since)
    }
}

impl DecisionLog {
    /// Starts the writer, which ends when the log is closed and what it took is written.
    pub(crate) fn start(store: &Store) -> (Self, JoinHandle<()>) {
        let (log, decisions) = Self::with_queue(QUEUE);
        let writing = write_all(store.clone(), decisions, log.progress.clone());
        let outage = store.outage.clone().map(|outage| outage.watch(store.clone()));
        let writing = async {
            let _watching = outage.map(|outage| AbortOnDropHandle::new(tokio::spawn(outage)));
            writing.await;
        };
        (log, tokio::spawn(writing))
    }

    fn with_queue(size: usize) -> (Self, mpsc::Receiver<Pending>) {
        let (queue, decisions) = mpsc::channel(size);
        (Self { queue, progress: Progress::default() }, decisions)
    }

    /// How long callers wait for their decisions to be kept, but for five batches in a hundred;
    /// nothing before there were some.
    pub(crate) fn usual_time(&self) -> Option<Duration> {
        self.progress.lock().quantiles().map(|quantiles| quantiles.p95)
    }

    /// Tells the log that a caller waits for a decision, which is made first.
    pub(crate) fn expect(&self) -> Expected {
        self.progress.expectations.add()
    }

    /// Returns the decision's response once the decision is committed.
    pub(crate) async fn keep(
        &self,
        decision: Decision,
        caller: Option<Awaited>,
    ) -> Result<String, Problem> {
        let (kept, mut result) = oneshot::channel();
        let row = Row { format: Format, decided_at: Timestamp::now().to_string(), decision };
        self.queue.try_send(Pending { row, caller, kept }).map_err(|error| match error {
            TrySendError::Full(_) => {
                let detail = "too many decisions wait for the database; try again later";
                Problem::new(Kind::Overloaded, detail)
            }
            TrySendError::Closed(_) => stopping(),
        })?;
        loop {
            let written = self.progress.written.load(Ordering::Relaxed);
            if let Ok(result) = timeout(PATIENCE, &mut result).await {
                return result.map_err(|_| stopping())?;
            }
            // While others are written, its turn comes.
            if self.progress.written.load(Ordering::Relaxed) == written {
                let detail = "the decision was not stored in time, though it may be stored yet; \
                              try again later, which makes a decision of its own";
                return Err(Problem::new(Kind::StoreUnavailable, detail));
            }
        }
    }

    /// Takes no more decisions; those taken are still written.
    pub(crate) fn close(&self) {
        self.progress.closing.cancel();
    }
}

fn stopping() -> Problem {
    let detail = "the router is stopping and this decision was not stored; send it again";
    Problem::new(Kind::Stopping, detail)
}

async fn write_all(store: Store, mut queue: mpsc::Receiver<Pending>, progress: Progress) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut writer = Writer { store, connection: None };
    let mut last = Begun { at: Instant::now(), expected: 0 };
    while take(&mut queue, &mut batch, &progress.closing).await {
        gather(&mut queue, &mut batch, &progress, last).await;
        last = Begun { at: Instant::now(), expected: progress.expectations.count() };
        // Nobody would learn of the decisions of callers who have gone or given up.
        batch.retain(|pending: &Pending| !pending.kept.is_closed());
        if batch.is_empty() {
            continue;
        }
        let since = batch.iter().filter_map(Pending::since).min();
        let (rows, callers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|Pending { row, kept, caller }| (row, (kept, caller))).unzip();
        let failure = writer.keep(&rows).await.err().map(|problem| problem.detail);
        if failure.is_none() {
            progress.note(since);
        }
        for (row, (kept, _caller)) in rows.into_iter().zip(callers) {
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

/// A transaction's beginning.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    /// How many decisions callers waited for.
    expected: usize,
}

/// Adds decisions that come before the next transaction is due. It is due at once when half of
/// those are there that callers wait for, or waited for when the last one began: the others are
/// made while these are written.
async fn gather(
    queue: &mut mpsc::Receiver<Pending>,
    batch: &mut Vec<Pending>,
    progress: &Progress,
    last: Begun,
) {
    let due = sleep_until(last.at + INTERVAL);
    let (mut due, mut closing) = (pin!(due), pin!(progress.closing.cancelled()));
    while batch.len() < BATCH && !progress.expectations.are_half_met(batch, last.expected) {
        tokio::select! {
            biased;
            taken = queue.recv_many(batch, BATCH - batch.len()) => if taken == 0 { return },
            () = &mut due => return,
            () = &mut closing => return,
        }
    }
}

/// Writes decisions that callers wait for.
struct Writer {
    store: Store,
    /// On PostgreSQL, one that nobody else uses.
    connection: Option<AnyConnection>,
}

impl Writer {
    /// Writes them all, or spools them all where the database is away and there is a spool.
    async fn keep(&mut self, rows: &[Row]) -> Result<(), Problem> {
        let Some(outage) = self.store.outage.clone() else {
            let writing = within(WRITE_TIMEOUT, self.store.write(rows));
            return writing.await.map_err(|error| unavailable(&error));
        };
        if !outage.is_known() {
            match self.try_write(&outage, rows).await {
                Ok(()) => return Ok(()),
                Err(error) if is_outage(&error) => outage.begin(&error),
                Err(error) => return Err(unavailable(&error)),
            }
        }
        outage.spool(rows).await
    }

    /// Writes them over a connection that is there: nobody waits for a new one.
    async fn try_write(&mut self, outage: &Outage, rows: &[Row]) -> Result<(), sqlx::Error> {
        let connection = outage.connection().or_else(|| self.connection.take());
        let mut connection = connection.ok_or(sqlx::Error::Io(NotConnected.into()))?;
        let written = insert(&mut connection, rows, QUICK_ANSWER).await;
        // One on which something was given up is not used again.
        if !written.as_ref().is_err_and(is_outage) {
            self.connection = Some(connection);
        }
        written
    }
}

impl Store {
    async fn write(&self, rows: &[Row]) -> Result<(), sqlx::Error> {
        if rows.len() <= FEW_ROWS {
            return self.write_few(rows, Instant::now() + PATIENCE).await;
        }
        let mut transaction = self.begin(PATIENCE).await?;
        INSERT.run(&mut transaction, rows, bind).await?;
        transaction.commit().await
    }

    /// A single statement is a transaction of its own, and saves the way to the database's thread
    /// and back to begin and to end one.
    async fn write_few(&self, rows: &[Row], deadline: Instant) -> Result<(), sqlx::Error> {
        loop {
            let mut connection = self.writer.acquire().await?;
            let _turn = self.turn(deadline).await;
            match INSERT.run(&mut connection, rows, bind).await {
                Err(error) if is_busy(&error) && Instant::now() < deadline => {}
                result => return result,
            }
        }
    }
}

/// Adds at most [`BATCH`] decisions to PostgreSQL; those that are there already stay as they are.
/// It is asked twice at most, and may take so long to answer each time.
pub(super) async fn insert(
    database: &mut AnyConnection,
    rows: &[Row],
    answer: Duration,
) -> Result<(), sqlx::Error> {
    let rows = padded(rows);
    within(answer, INSERT.prepare(database, rows.len())).await?;
    within(answer, INSERT.run(database, &rows, |values, row| bind(values, row))).await
}

/// As many rows as a single statement takes, and so a transaction of its own: the smallest is given
/// again and again, which the statement does not mind.
fn padded(rows: &[Row]) -> Vec<&Row> {
    let size = |row: &&Row| row.decision.request.len() + row.decision.response.len();
    let smallest = rows.iter().min_by_key(size);
    let padding = smallest.into_iter().cycle();
    rows.iter().chain(padding).take(rows.len().next_power_of_two()).collect()
}

const INSERT: Statement = Statement {
    head: "INSERT INTO decisions (decision_id, client, content_id, decided_at, decision,
                                  policy_version, request, response, calls, sampled,
                                  inclusion_probability, supersedes) VALUES",
    columns: 12,
    // It may have been committed although the connection was cut before it said so.
    tail: " ON CONFLICT (decision_id) DO NOTHING",
};

fn bind(values: &mut AnyArguments, row: &Row) -> Result<(), BoxDynError> {
    let Row { decided_at, decision, .. } = row;
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
    values.add(decision.inclusion_probability)?;
    values.add(decision.supersedes.map(|first| first.to_string()))
}

#[cfg(test)]
pub(super) mod example {
    //! Decisions for the tests here and around.

    use super::*;

    /// One of its own.
    pub(in crate::store) fn decision() -> Decision {
        Decision {
            decision_id: Uuid::now_v7(),
            supersedes: None,
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

    /// The same as a row.
    pub(in crate::store) fn row() -> Row {
        Row { format: Format, decided_at: "now".to_owned(), decision: decision() }
    }
}

#[cfg(test)]
mod tests;
