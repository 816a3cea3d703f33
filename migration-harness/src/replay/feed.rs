//! Reads records ahead of the calls, as far as the memory for them goes, and hands out each call
//! when it is due.

use std::sync::Arc;
use std::time::Instant;
use std::vec;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::pace::{OddGaps, Pace, Pacer};
use super::recall::Captured;
use crate::error::Error;
use crate::record::{Numbered, Reply};
use crate::target::{Prepared, Target};

/// How much memory records may take from the moment they are read until they are compared.
const ROOM_BYTES: usize = 64 << 20;
/// What a record takes beside its bodies.
const RECORD_BYTES: usize = 768;
/// Records are passed on together: waking another thread costs more than reading a record.
const BATCH_RECORDS: usize = 64;
const BATCH_BYTES: usize = 256 << 10;
/// How many batches wait to be taken.
const BATCHES: usize = 2;

/// A call to be made.
#[derive(Debug)]
pub(crate) struct Call {
    /// The record.
    pub(crate) captured: Captured,
    /// What is sent; none once it was.
    pub(crate) request: Option<Prepared>,
    /// The room of its batch, which is free again when all of its calls have been compared.
    room: Option<Arc<OwnedSemaphorePermit>>,
}

/// Boxed, since they are passed on several times.
type Batch = Vec<Box<Call>>;

/// Calls in the order of their records, each when it is due.
#[derive(Debug)]
pub(crate) struct Feed {
    batches: Receiver<Result<Batch, Error>>,
    /// The thread that reads; none once its end was seen.
    reading: Option<JoinHandle<()>>,
    batch: vec::IntoIter<Box<Call>>,
    pacer: Pacer,
    failure: Option<Error>,
}

impl Feed {
    /// Begins to read in a thread of its own.
    pub(crate) fn start(
        records: impl Iterator<Item = Result<Captured, Error>> + Send + 'static,
        target: Arc<Target>,
        pace: Pace,
    ) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES);
        let room = Arc::new(Semaphore::new(ROOM_BYTES));
        let reading = Reading { records, target, room, runtime: Handle::current() };
        // It ends with the records, or when nobody takes them any more.
        let reading = Some(tokio::task::spawn_blocking(move || reading.read_all(&sender)));
        let batch = Vec::new().into_iter();
        Self { batches, reading, batch, pacer: Pacer::new(pace), failure: None }
    }

    /// The next call, when it is due, and when that should have been.
    pub(crate) async fn next(&mut self) -> Option<(Box<Call>, Instant)> {
        let call = loop {
            match self.batch.next() {
                Some(call) => break call,
                None => self.batch = self.next_batch().await?,
            }
        };
        let captured_at = call.captured.numbered.record.captured_at;
        Some((call, self.pacer.turn(captured_at).await))
    }

    async fn next_batch(&mut self) -> Option<vec::IntoIter<Box<Call>>> {
        match self.batches.recv().await {
            Some(Ok(batch)) => return Some(batch.into_iter()),
            Some(Err(error)) => {
                self.failure = Some(error);
                self.batches.close();
            }
            None => self.end_of_reading().await,
        }
        None
    }

    /// Records end, too, where the thread that reads them has panicked.
    async fn end_of_reading(&mut self) {
        if let Some(reading) = self.reading.take()
            && reading.await.is_err()
        {
            self.failure = Some(Error::Panicked("the thread that reads records"));
        }
    }

    /// Why the records ended too early, if they did, and which gaps between them were odd.
    pub(crate) fn end(&mut self) -> (Option<Error>, OddGaps) {
        (self.failure.take(), self.pacer.odd_gaps())
    }
}

struct Reading<R> {
    records: R,
    target: Arc<Target>,
    room: Arc<Semaphore>,
    runtime: Handle,
}

impl<R: Iterator<Item = Result<Captured, Error>>> Reading<R> {
    fn read_all(mut self, batches: &Sender<Result<Batch, Error>>) {
        loop {
            let (batch, failure) = self.read_batch();
            let is_last = batch.is_empty() || failure.is_some();
            if !batch.is_empty() && batches.blocking_send(Ok(batch)).is_err() {
                return;
            }
            if let Some(error) = failure {
                // Nobody may be left to hear it.
                let _ = batches.blocking_send(Err(error));
            }
            if is_last {
                return;
            }
        }
    }

    fn read_batch(&mut self) -> (Batch, Option<Error>) {
        let (mut batch, mut bytes, mut failure) = (Batch::with_capacity(BATCH_RECORDS), 0, None);
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            let next = self.records.next().map(|captured| self.prepare(captured?));
            match next {
                None => break,
                Some(Err(error)) => {
                    failure = Some(error);
                    break;
                }
                Some(Ok(call)) => {
                    bytes += size(&call.captured);
                    batch.push(call);
                }
            }
        }
        let room = self.room(bytes);
        batch.iter_mut().for_each(|call| call.room = Some(Arc::clone(&room)));
        (batch, failure)
    }

    /// A record that can't be sent ends the replay.
    fn prepare(&self, captured: Captured) -> Result<Box<Call>, Error> {
        let Numbered { place, record, .. } = &captured.numbered;
        let prepared = self.target.prepare(record);
        let request = prepared.map_err(|reason| Error::Record { place: place.clone(), reason })?;
        Ok(Box::new(Call { captured, request: Some(request), room: None }))
    }

    fn room(&self, bytes: usize) -> Arc<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(ROOM_BYTES)).expect("the room has few bytes");
        let room = Arc::clone(&self.room).acquire_many_owned(bytes);
        Arc::new(self.runtime.block_on(room).expect("the room is never closed"))
    }
}

/// How much memory a record takes. About as long as the captured answer, the target's will be.
pub(super) fn size(captured: &Captured) -> usize {
    let Numbered { record, .. } = &captured.numbered;
    let noise = captured.noise.as_ref().map_or(0, Reply::body_bytes);
    RECORD_BYTES + record.bytes() + record.reply.body_bytes() + noise
}
