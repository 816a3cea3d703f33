//! Takes calls over from those who serve them, without ever making them wait: a thread of its own
//! looks for them, and what it can't keep up with is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::call::Taken;
use super::metrics::{Lost, Metrics};
use super::record::Writer;

/// How many calls may wait to be written.
const QUEUE_CALLS: usize = 8192;
/// How much memory all bodies may take, from their first byte until they are written.
const MAX_HELD_BYTES: usize = 256 << 20;
/// How long the writer sleeps when there is nothing; so nobody has to wake it.
const NAP: Duration = Duration::from_millis(20);

/// Where calls are handed over.
#[derive(Debug, Clone)]
pub(super) struct Desk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: SyncSender<Taken>,
    held_bytes: AtomicUsize,
    calls: AtomicUsize,
    is_closed: AtomicBool,
    max_body: usize,
    metrics: Arc<Metrics>,
}

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Recorder {
    desk: Desk,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Starts it.
    pub(super) fn start(writer: Writer, max_body: usize, metrics: Arc<Metrics>) -> Self {
        let (queue, taken) = sync_channel(QUEUE_CALLS);
        let desk = Desk(Arc::new(Shared {
            queue,
            held_bytes: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
            max_body,
            metrics,
        }));
        let shared = Arc::clone(&desk.0);
        let thread = thread::spawn(move || write_all(&shared, &taken, writer));
        Self { desk, thread }
    }

    /// Where to hand calls over.
    pub(super) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Waits until no call is under way, so long at most, then until all is written.
    pub(crate) async fn finish(self, patience: Duration) {
        let end = Instant::now() + patience;
        while self.desk.0.calls.load(Ordering::Acquire) > 0 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.desk.0.is_closed.store(true, Ordering::Release);
        // Only a panic ends it otherwise, which has been told.
        let _ = tokio::task::spawn_blocking(|| self.thread.join()).await;
    }
}

fn write_all(shared: &Shared, taken: &Receiver<Taken>, mut writer: Writer) {
    loop {
        let is_last = shared.is_closed.load(Ordering::Acquire);
        let begun = Instant::now();
        // Under load there is always one more, and what was written must be seen all the same.
        while begun.elapsed() < NAP || is_last {
            let Ok(call) = taken.try_recv() else { break };
            let held = call.held();
            writer.write(call);
            shared.held_bytes.fetch_sub(held, Ordering::Relaxed);
        }
        writer.flush();
        if is_last {
            break writer.finish();
        }
        thread::sleep(NAP.saturating_sub(begun.elapsed()));
    }
}

impl Desk {
    /// What has been counted.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// How much of a body is recorded.
    pub(super) fn max_body(&self) -> usize {
        self.0.max_body
    }

    /// A call begins.
    pub(super) fn enter(&self) {
        self.0.calls.fetch_add(1, Ordering::AcqRel);
    }

    /// A call has ended.
    pub(super) fn leave(&self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether memory is left for as many bytes, which are then taken.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let before = self.0.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= MAX_HELD_BYTES;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives memory back.
    pub(super) fn release(&self, bytes: usize) {
        self.0.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A call that no memory was left for.
    pub(super) fn lose(&self) {
        self.0.metrics.lose(Lost::Memory, 1);
    }

    /// A call that has ended.
    pub(super) fn hand_over(&self, call: Taken) {
        let held = call.held();
        if self.0.queue.try_send(call).is_err() {
            self.release(held);
            self.0.metrics.lose(Lost::Queue, 1);
        }
    }
}
