//! Where records enter the comparison. Whoever finds no room is turned away and counted: nobody waits.

use std::sync::Arc;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::{Metrics, Missed};
use crate::capture;
use crate::record::Record;

/// How many records may wait for the target.
const MAX_WAITING: usize = 4096;
/// How much memory they may take, until they are compared.
const ROOM_BYTES: usize = 64 << 20;
/// What a record takes beside what has no fixed size.
const RECORD_BYTES: usize = 1024;

/// Where records enter.
#[derive(Debug)]
pub(crate) struct Entrance {
    queue: Sender<Waiting>,
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    copied: Arc<capture::Metrics>,
}

/// A record on its way to be compared.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What was captured.
    pub(super) record: Box<Record>,
    /// Free again once it has been compared.
    _room: OwnedSemaphorePermit,
}

/// The entrance, and where records come out again.
pub(super) fn open(
    metrics: &Arc<Metrics>,
    copied: &Arc<capture::Metrics>,
) -> (Entrance, Receiver<Waiting>) {
    let (queue, waiting) = mpsc::channel(MAX_WAITING);
    let room = Arc::new(Semaphore::new(ROOM_BYTES));
    let (metrics, copied) = (Arc::clone(metrics), Arc::clone(copied));
    (Entrance { queue, room, metrics, copied }, waiting)
}

impl Entrance {
    /// Takes a record, if it can be compared and there is room.
    pub(crate) fn take(&self, record: Record) {
        self.copied.capture(1, 0);
        if record.reply.answer.is_err() {
            return self.metrics.miss(Missed::Incomplete);
        }
        match self.enter(record) {
            Some(()) => self.metrics.accept(),
            None => self.metrics.miss(Missed::Behind),
        }
    }

    fn enter(&self, record: Record) -> Option<()> {
        let bytes = u32::try_from((RECORD_BYTES + record.bytes()).min(ROOM_BYTES)).ok()?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).ok()?;
        self.queue.try_send(Waiting { record: Box::new(record), _room: room }).ok()
    }

    /// Counts a call that was not to be compared.
    pub(crate) fn skip(&self) {
        self.copied.skip();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::tally::tests::record;

    #[test]
    fn long_paths_take_room_as_bodies_do() {
        let mut counts = Registry::default();
        let copied = Arc::new(capture::Metrics::new(&mut counts));
        let metrics = Arc::new(Metrics::new(&mut counts));
        let (entrance, mut waiting) = open(&metrics, &copied);
        let mut long = record("1", "spam", "toybox", "call");
        long.request.path = "/".repeat(ROOM_BYTES / 10);
        (0..12).for_each(|_| entrance.take(long.clone()));
        assert_eq!(metrics.missed()[&Missed::Behind], 3);
        assert!(waiting.try_recv().is_ok());
        entrance.take(long);
        assert_eq!(metrics.missed()[&Missed::Behind], 3);
    }
}
