//! Brings whole files to their buckets, beside the writing. Every destination goes its own way: one
//! that fails is tried again after a pause, one that stalls holds up nothing but itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::spool;
use crate::artifact::ModelRoots;

/// The pause between two looks for new files, and after a destination's first failure.
const TICK: Duration = Duration::from_secs(2);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// How long the last uploads may take when the host stops; the next host goes on with the rest.
const LAST_UPLOADS: Duration = Duration::from_secs(10);

/// The task that brings files to buckets; without this it ends.
pub(super) struct Uploads {
    /// Tells it to bring all that is there and end.
    stop: CancellationToken,
    /// The task.
    task: AbortOnDropHandle<()>,
}

/// What is under way.
struct Ways {
    /// The way to S3.
    roots: Arc<ModelRoots>,
    /// Where all files are.
    spool: PathBuf,
    /// From now on nothing is tried again.
    stop: CancellationToken,
    /// A task for each destination that has files.
    running: HashMap<PathBuf, AbortOnDropHandle<()>>,
}

impl Uploads {
    /// Begins to bring what is and what will be in `spool`.
    pub(super) fn start(roots: &Arc<ModelRoots>, spool: PathBuf) -> Self {
        let stop = CancellationToken::new();
        let ways =
            Ways { roots: Arc::clone(roots), spool, stop: stop.clone(), running: HashMap::new() };
        Self { stop, task: AbortOnDropHandle::new(tokio::spawn(ways.run())) }
    }

    /// Brings all that is there, as far as it goes.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        self.task.await.ok();
    }
}

impl Ways {
    async fn run(mut self) {
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            self.begin().await;
            stop.run_until_cancelled(sleep(TICK)).await;
        }
        if timeout(LAST_UPLOADS, self.finish()).await.is_err() {
            tracing::warn!("captured calls wait for the next start: S3 takes too long");
        }
    }

    /// Sets out for every destination that has files and is not on its way.
    async fn begin(&mut self) {
        let waiting = spool::waiting(&self.spool).await;
        self.running.retain(|_, task| !task.is_finished());
        for place in waiting.into_keys() {
            let (roots, spool, stop) = (&self.roots, &self.spool, &self.stop);
            self.running.entry(place).or_insert_with_key(|place| {
                let (roots, spool, stop) = (Arc::clone(roots), spool.clone(), stop.clone());
                let place = place.clone();
                let going = async move { go(&roots, &spool, &place, &stop).await };
                AbortOnDropHandle::new(tokio::spawn(going))
            });
        }
    }

    /// Every destination is tried once more, whatever others do; all arrive or fail.
    async fn finish(&mut self) {
        self.begin().await;
        for (_, task) in self.running.drain() {
            task.await.ok();
        }
    }
}

/// Brings the files of one destination; what fails is tried again, later each time, and for the last
/// time once the host stops, with the files that came meanwhile.
async fn go(roots: &ModelRoots, spool: &Path, place: &Path, stop: &CancellationToken) {
    let mut pause = TICK;
    loop {
        let is_last = stop.is_cancelled();
        let is_done = spool::deliver(roots, spool, place).await;
        if is_last || (is_done && !stop.is_cancelled()) {
            return;
        }
        if !is_done {
            stop.run_until_cancelled(sleep(pause)).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}
