//! Data capture: writes calls and their answers down in SageMaker's format, beside the calls. It
//! never makes one wait: what does not fit is dropped and counted.

mod event;
mod files;
mod rule;
mod spool;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::artifact::ModelRoots;
use event::Event;
pub(crate) use event::{Body, Captured};
use files::Files;
pub(crate) use rule::Rule;
use uploads::Uploads;

/// Calls that wait to be written.
const WAITING_EVENTS: usize = 1024;

/// Their bodies together, in KiB.
const WAITING_KIB: usize = 64 * 1024;

/// How often files are looked through for those that are old enough to be closed.
const TICK: Duration = Duration::from_secs(2);

/// Takes calls to write down.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// The way to the task that writes.
    messages: mpsc::Sender<Message>,
    /// Room for bodies, in KiB.
    room: Arc<Semaphore>,
}

/// What the task that writes is told.
enum Message {
    /// Write this down.
    Event(Box<Event>),
    /// Deliver everything, answer, and end.
    Close(oneshot::Sender<()>),
}

impl Capture {
    /// Starts the task that writes; what goes to buckets is spooled in the host's own folder.
    /// Nothing is written while the disk is fuller than `fullest` percent.
    pub(crate) fn start(roots: &Arc<ModelRoots>, fullest: u8) -> Self {
        let (messages, receiver) = mpsc::channel(WAITING_EVENTS);
        let uploads = Uploads::start(roots, spool::folder(roots));
        tokio::spawn(write_all(receiver, Files::new(fullest), uploads));
        Self { messages, room: Arc::new(Semaphore::new(WAITING_KIB)) }
    }

    /// Has a call written down, if there is room for it.
    pub(crate) fn write_down(&self, captured: Captured) {
        let kib = u32::try_from(captured.size_bytes().div_ceil(1024)).unwrap_or(u32::MAX);
        let counters = Arc::clone(&captured.counters);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib.max(1));
        let sent = room.map(|room| {
            self.messages.try_send(Message::Event(Box::new(Event { captured, _room: room })))
        });
        if !matches!(sent, Ok(Ok(()))) {
            counters.capture_dropped();
        }
    }

    /// Delivers what was written down.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.messages.send(Message::Close(done)).await.is_ok() {
            closed.await.ok();
        }
    }
}

async fn write_all(mut messages: mpsc::Receiver<Message>, mut files: Files, uploads: Uploads) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = messages.recv_many(&mut batch, WAITING_EVENTS) => {}
            _ = ticks.tick() => {}
        }
        let closing = batch.iter().any(|message| matches!(message, Message::Close(_)));
        let (events, done) = sort(&mut batch);
        files = in_background(files, events, closing).await;
        if closing {
            uploads.finish().await;
            for done in done {
                done.send(()).ok();
            }
            return;
        }
        if messages.is_closed() && messages.is_empty() {
            return;
        }
    }
}

fn sort(batch: &mut Vec<Message>) -> (Vec<Event>, Vec<oneshot::Sender<()>>) {
    let (mut events, mut done) = (Vec::new(), Vec::new());
    for message in batch.drain(..) {
        match message {
            Message::Event(event) => events.push(*event),
            Message::Close(closed) => done.push(closed),
        }
    }
    (events, done)
}

/// Writes the events, and closes the files that are due or, at the end, all.
async fn in_background(mut files: Files, events: Vec<Event>, closing: bool) -> Files {
    let none = files.without_any();
    let written = spawn_blocking(move || {
        events.iter().for_each(|event| files.write(&event.captured));
        files.deliver(closing);
        files
    });
    written.await.unwrap_or(none)
}

#[cfg(test)]
mod tests;
