//! The calls that wait for a worker: bounded, first come first served, the retried first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;

use super::call::Job;

/// The queue that all workers of a model take from.
pub(super) struct Queue {
    limit: usize,
    jobs: Mutex<VecDeque<Job>>,
    /// How many jobs there are, as `/metrics` tells it.
    length: Gauge,
    /// A permit for each job pushed; there may be more permits than jobs, never fewer.
    pushed: Semaphore,
    /// How many workers wait for a job; a job that one of them is about to take does not wait.
    takers: AtomicUsize,
}

impl Queue {
    pub(super) fn new(limit: usize, length: Gauge) -> Self {
        let jobs = Mutex::default();
        Self { limit, jobs, length, pushed: Semaphore::new(0), takers: AtomicUsize::new(0) }
    }

    /// Puts a job last, unless as many wait as may.
    pub(super) fn push(&self, job: Job) -> Result<(), Full> {
        let mut jobs = self.lock();
        let limit = self.limit + self.takers.load(Ordering::Relaxed);
        if jobs.len() >= limit {
            jobs.retain(|job| !job.is_abandoned());
        }
        if jobs.len() >= limit {
            return Err(Full);
        }
        jobs.push_back(job);
        self.length.set(jobs.len() as i64);
        self.pushed.add_permits(1);
        Ok(())
    }

    /// Puts a job that has waited before first, whatever the limit.
    pub(super) fn push_front(&self, job: Job) {
        self.lock().push_front(job);
        self.length.inc();
        self.pushed.add_permits(1);
    }

    /// The next job that somebody still waits for.
    ///
    /// Nothing is lost where this future is dropped before it is ready.
    pub(super) async fn next(&self) -> Job {
        self.takers.fetch_add(1, Ordering::Relaxed);
        let _taker = Taker(&self.takers);
        loop {
            let permit = self.pushed.acquire().await.expect("the semaphore is never closed");
            permit.forget();
            match self.pop() {
                Some(job) if !job.is_abandoned() => return job,
                _ => {}
            }
        }
    }

    /// Drops every job, which its caller notices.
    pub(super) fn clear(&self) {
        self.lock().clear();
        self.length.set(0);
    }

    fn pop(&self) -> Option<Job> {
        let mut jobs = self.lock();
        let job = jobs.pop_front();
        self.length.set(jobs.len() as i64);
        job
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().expect("nothing panics while it holds the queue")
    }
}

/// As many jobs wait as may.
#[derive(Debug)]
pub(super) struct Full;

/// Counts down when a worker stops waiting.
struct Taker<'a>(&'a AtomicUsize);

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;
    use tokio::time::Instant;

    use super::*;
    use crate::worker::call::{Call, Ticket};

    fn job(fields: &str) -> (Job, Ticket) {
        let fields = RawValue::from_string(fields.to_owned()).unwrap();
        Job::new(Call::Fields(fields), Instant::now() + Duration::from_secs(60))
    }

    #[test]
    fn a_full_queue_takes_no_job_unless_one_in_it_was_abandoned() {
        let queue = Queue::new(1, Gauge::default());
        let (first, ticket) = job("1");
        assert!(queue.push(first).is_ok());
        assert!(queue.push(job("2").0).is_err());
        drop(ticket);
        let (third, _ticket) = job("3");
        assert!(queue.push(third).is_ok());
        assert_eq!(queue.lock().len(), 1);
    }

    #[tokio::test]
    async fn a_retried_job_comes_first_and_an_abandoned_one_never() {
        let queue = Queue::new(8, Gauge::default());
        let [(a, ticket), (b, _b), (c, _c)] = ["1", "2", "3"].map(job);
        let hash = |job: &Job| job.call.hash();
        let (of_b, of_c) = (hash(&b), hash(&c));
        drop(ticket);
        for job in [a, b] {
            queue.push(job).unwrap();
        }
        queue.push_front(c);
        assert_eq!(hash(&queue.next().await), of_c);
        assert_eq!(hash(&queue.next().await), of_b);
        assert_eq!(queue.lock().len(), 0);
    }
}
