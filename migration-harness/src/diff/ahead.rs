//! Reads records ahead on a thread of their own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::record::Row;

/// How many records are handed over at once, at most.
const BATCH_RECORDS: usize = 512;
/// And how many bytes of bodies.
const BATCH_BYTES: usize = 1 << 20;
/// How many batches wait.
const BATCHES: usize = 2;

/// What is read ahead.
type Item = Result<Row, Error>;

/// Records that a thread reads ahead.
#[derive(Debug)]
pub(super) struct Ahead {
    batches: Receiver<Vec<Item>>,
    /// None once its end was seen.
    thread: Option<JoinHandle<()>>,
    batch: std::vec::IntoIter<Item>,
}

impl Ahead {
    /// Begins to read. The thread ends with the records, or when nobody wants them any more.
    pub(super) fn of(records: impl Iterator<Item = Item> + Send + 'static) -> Self {
        let (sender, batches) = sync_channel(BATCHES);
        let thread = Some(thread::spawn(move || read(records, &sender)));
        Self { batches, thread, batch: Vec::new().into_iter() }
    }
}

impl Iterator for Ahead {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if let Some(item) = self.batch.next() {
            return Some(item);
        }
        match self.batches.recv() {
            Ok(batch) => self.batch = batch.into_iter(),
            // Records end, too, where the thread that reads them has panicked.
            Err(_) => {
                self.thread.take()?.join().err()?;
                return Some(Err(Error::Panicked("the thread that reads records")));
            }
        }
        self.batch.next()
    }
}

fn read(mut records: impl Iterator<Item = Item>, sender: &SyncSender<Vec<Item>>) {
    loop {
        let batch = batch(&mut records);
        if batch.is_empty() || sender.send(batch).is_err() {
            return;
        }
    }
}

fn batch(records: &mut impl Iterator<Item = Item>) -> Vec<Item> {
    let (mut batch, mut bytes) = (Vec::with_capacity(BATCH_RECORDS), 0);
    while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
        let Some(item) = records.next() else { break };
        bytes += item.as_ref().map_or(0, Row::bytes);
        batch.push(item);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_reader_is_no_end_of_the_records() {
        let records = std::iter::from_fn(|| -> Option<Item> { panic!("as the test wants it") });
        let mut ahead = Ahead::of(records);
        let error = ahead.next().unwrap().unwrap_err();
        assert!(matches!(error, Error::Panicked(_)), "{error}");
        assert!(ahead.next().is_none());
    }
}
