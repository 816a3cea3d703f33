//! What the containers of all endpoints share: this machine's processors and memory, and how long
//! calls may wait for them.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::memory::Memory;
use crate::ports::Ports;

/// A start that takes longer gives its place up, so that one that hangs blocks nobody.
const PLACE_LIMIT: Duration = Duration::from_secs(5);

/// The machine as every pool sees it.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Bounds the starts at once.
    pub(crate) starts: Starts,
    /// Limits what containers use.
    pub(crate) memory: Memory,
    /// Gives containers ports to listen on.
    pub(crate) ports: Ports,
    /// Calls beyond `MaxConcurrency` that a pool holds while none of its containers is ready.
    pub(crate) cold_queue: usize,
    /// How long a call may wait for a container.
    pub(crate) cold_deadline: Duration,
}

impl Machine {
    /// A machine on which nothing starts yet.
    pub(crate) fn new(memory: Memory, cold_queue: usize, cold_deadline: Duration) -> Self {
        let (starts, ports) = (Starts::default(), Ports::default());
        Self { starts, memory, ports, cold_queue, cold_deadline }
    }
}

/// Places for containers that start. A start keeps a processor busy: more than two of them on each
/// would only make all of them late.
#[derive(Debug)]
pub(crate) struct Starts {
    /// The places, given out in the order of asking.
    places: Semaphore,
}

impl Default for Starts {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self { places: Semaphore::new(2 * processors) }
    }
}

impl Starts {
    /// Goes through a start as soon as it has a place.
    pub(crate) async fn run<S: Future>(&self, start: impl FnOnce() -> S) -> S::Output {
        let place = self.places.acquire().await;
        // Made only now and on the heap: a start takes 13 KB, and thousands may wait for a place.
        let mut start = Box::pin(start());
        if let Ok(done) = timeout(PLACE_LIMIT, &mut start).await {
            return done;
        }
        drop(place);
        start.await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_that_hang_keep_no_other_from_starting() {
        let starts = Starts::default();
        let hanging = async {
            let mut all = Vec::new();
            for _ in 0..100 {
                all.push(Box::pin(starts.run(pending::<()>)));
            }
            let mut started = pin!(starts.run(|| async { "started" }));
            std::future::poll_fn(|context| {
                for hanging in &mut all {
                    assert!(hanging.as_mut().poll(context).is_pending());
                }
                started.as_mut().poll(context)
            })
            .await
        };
        assert_eq!(timeout(Duration::from_secs(600), hanging).await, Ok("started"));
    }

    #[tokio::test]
    async fn no_more_starts_run_at_once_than_there_are_places() {
        let starts = std::sync::Arc::new(Starts::default());
        let places = starts.places.available_permits();
        let mut all = JoinSet::new();
        for _ in 0..10 * places {
            let starts = std::sync::Arc::clone(&starts);
            all.spawn(async move {
                let free = || async { starts.places.available_permits() };
                starts.run(free).await
            });
        }
        assert!(all.join_all().await.into_iter().all(|free| free < places));
    }
}
