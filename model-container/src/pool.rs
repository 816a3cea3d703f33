//! Runs an in-process model: short documents at once, others on threads behind a bounded queue.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::document::Document;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::model::{Finding, Model};
use crate::telemetry::{self, Trace};

/// Requests with more text than this are scored on a thread of the pool, so that pings don't wait.
const LONG_BYTES: usize = 32 << 10;
/// What a document counts besides its text.
const DOCUMENT_BYTES: usize = 1 << 10;

/// A document with what the model found in it, or how it failed.
pub(crate) type Scored = (Document, Result<Finding, String>);

/// Why a request was not scored at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many requests as may wait are waiting.
    Full,
    /// No thread was free before the deadline.
    NotStarted,
    /// The model was still working at the deadline.
    Unfinished,
}

/// A model and the threads that run it.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    model: Box<dyn Model>,
    metrics: Arc<Metrics>,
    limit: usize,
    queue: Mutex<Queue>,
    /// For each thread, when the batch that it works at should have been answered.
    due: Vec<Mutex<Option<Instant>>>,
    /// Wakes a thread for a new job, or all of them at the end.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

/// One request on its way to the model.
struct Job {
    documents: Vec<Document>,
    queued: Instant,
    deadline: Instant,
    is_started: Arc<AtomicBool>,
    trace: Option<Arc<Trace>>,
    answer: oneshot::Sender<Vec<Scored>>,
}

impl Pool {
    /// Starts a thread for each processor that this process may use.
    pub(crate) fn start(model: Box<dyn Model>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        // Unlike the number of the host's processors, this honours the cgroup's quota.
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared {
            model,
            metrics,
            limit: limits.queue,
            queue: Mutex::default(),
            due: (0..threads).map(|_| Mutex::default()).collect(),
            changed: Condvar::new(),
        });
        for thread in 0..threads {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work(thread));
        }
        Self { shared }
    }

    /// The model's labels.
    pub(crate) fn labels(&self) -> &[String] {
        self.shared.model.labels()
    }

    /// Whether a thread is left that is not at work past its deadline.
    pub(crate) fn health(&self) -> Result<(), String> {
        let now = Instant::now();
        let is_stuck = |due: &Mutex<Option<Instant>>| locked(due).is_some_and(|due| due < now);
        if self.shared.due.iter().all(is_stuck) {
            return Err("every thread is at work past the deadline".to_owned());
        }
        Ok(())
    }

    /// Scores the documents of one request, each with its result.
    pub(crate) async fn score(
        &self,
        documents: Vec<Document>,
        deadline: Instant,
    ) -> Result<Vec<Scored>, Refusal> {
        if self.shared.model.is_quick() && is_short(&documents) {
            return Ok(telemetry::doing("inference", || self.shared.score(documents)));
        }
        let is_started = Arc::new(AtomicBool::new(false));
        let (answer, answered) = oneshot::channel();
        let queued = Instant::now();
        let trace = telemetry::current();
        let job =
            Job { documents, queued, deadline, is_started: Arc::clone(&is_started), trace, answer };
        self.shared.push(job)?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(scored)) => Ok(scored),
            _ if is_started.load(Ordering::Relaxed) => Err(Refusal::Unfinished),
            _ => Err(Refusal::NotStarted),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        locked(&self.queue)
    }

    fn push(&self, job: Job) -> Result<(), Refusal> {
        let mut queue = self.lock();
        if queue.jobs.len() >= self.limit {
            // Those whose callers have gone only take up places.
            queue.jobs.retain(Job::is_wanted);
        }
        if queue.jobs.len() >= self.limit {
            return Err(Refusal::Full);
        }
        queue.jobs.push_back(job);
        self.metrics.queue_length.set(queue.jobs.len() as i64);
        self.changed.notify_one();
        Ok(())
    }

    fn work(&self, thread: usize) {
        while let Some(jobs) = self.next_jobs() {
            for job in &jobs {
                job.is_started.store(true, Ordering::Relaxed);
                self.metrics.queue_duration.observe(job.queued.elapsed().as_secs_f64());
            }
            *locked(&self.due[thread]) = jobs.iter().map(|job| job.deadline).max();
            self.run(jobs);
            *locked(&self.due[thread]) = None;
        }
    }

    /// Waits for a job and takes with it those behind it that fit into one batch.
    fn next_jobs(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        loop {
            let mut jobs = Vec::new();
            let mut room = self.model.max_batch();
            while let Some(job) = queue.jobs.front() {
                if !jobs.is_empty() && job.documents.len() > room {
                    break;
                }
                room = room.saturating_sub(job.documents.len());
                jobs.extend(queue.jobs.pop_front().filter(Job::is_wanted));
            }
            self.metrics.queue_length.set(queue.jobs.len() as i64);
            if !jobs.is_empty() {
                return Some(jobs);
            }
            if queue.is_closed {
                return None;
            }
            queue = self.changed.wait(queue).expect("no thread panics while it holds the queue");
        }
    }

    /// Works in batches, and stops between them when nobody waits for an answer any more.
    fn run(&self, mut jobs: Vec<Job>) {
        let counts: Vec<_> = jobs.iter().map(|job| job.documents.len()).collect();
        let documents: Vec<_> =
            jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.documents)).collect();
        let mut scored = Vec::with_capacity(documents.len());
        let mut documents = documents.into_iter();
        let begun = Instant::now();
        while documents.len() > 0 {
            if !jobs.iter().any(Job::is_wanted) {
                return;
            }
            scored.extend(self.score(documents.by_ref().take(self.model.max_batch()).collect()));
        }
        for job in &jobs {
            job.show(begun);
        }
        let mut scored = scored.into_iter();
        for (job, count) in jobs.into_iter().zip(counts) {
            let _ = job.answer.send(scored.by_ref().take(count).collect());
        }
    }

    /// Scores one batch.
    fn score(&self, documents: Vec<Document>) -> Vec<Scored> {
        let started = Instant::now();
        let findings = self.findings(&documents);
        self.metrics.inference_duration.observe(started.elapsed().as_secs_f64());
        self.metrics.batch_size.observe(documents.len() as f64);
        documents.into_iter().zip(findings).collect()
    }

    /// A panic inside a model is the failure of that document and of no other.
    fn findings(&self, documents: &[Document]) -> Vec<Result<Finding, String>> {
        let model = &self.model;
        if let [document] = documents {
            return vec![guarded(|| model.score(document))];
        }
        let batch = guarded(|| Ok(model.score_all(&documents.iter().collect::<Vec<_>>())));
        match batch {
            Ok(findings) if findings.len() == documents.len() => findings,
            _ => documents.iter().map(|document| guarded(|| model.score(document))).collect(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds a lock of the pool")
}

fn is_short(documents: &[Document]) -> bool {
    let length = |document: &Document| DOCUMENT_BYTES + document.text.len();
    documents.iter().map(length).sum::<usize>() <= LONG_BYTES + DOCUMENT_BYTES
}

fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

impl Job {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed() && Instant::now() < self.deadline
    }

    /// Shows in the request's trace how long it waited and how long the model worked.
    fn show(&self, begun: Instant) {
        if let Some(trace) = &self.trace {
            trace.stage("queue", self.queued, begun);
            trace.stage("inference", begun, Instant::now());
        }
    }
}
