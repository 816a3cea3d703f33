//! Completes files of records while others are being written.

use std::fs;
use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use super::journal::Format;
use super::segment::Segment;
use crate::error::Error;
use crate::record::{Sink, Source, complete};

/// A thread that completes one file after the other.
#[derive(Debug)]
pub(super) struct Finisher {
    segments: Sender<Segment>,
    thread: JoinHandle<()>,
}

impl Finisher {
    /// Starts it.
    pub(super) fn start(format: Format) -> Self {
        let (segments, received) = channel::<Segment>();
        let thread = thread::spawn(move || {
            for segment in received {
                let partial = segment.partial.clone();
                if let Err(error) = finish(segment, format) {
                    let path = partial.display();
                    // The records stay where they are, and the next capture tries once more.
                    let _ = writeln!(
                        io::stderr(),
                        "capture: `{path}` could not be completed and stays as it is: {error}"
                    );
                }
            }
        });
        Self { segments, thread }
    }

    /// Has a file completed.
    pub(super) fn finish(&self, segment: Segment) {
        // Only a panic ends the thread before; the file stays then, as after a crash.
        let _ = self.segments.send(segment);
    }

    /// Waits until all are.
    pub(super) fn wait(self) {
        drop(self.segments);
        // A panic has been told.
        let _ = self.thread.join();
    }
}

fn finish(mut segment: Segment, format: Format) -> Result<(), Error> {
    let cut = segment.cut();
    cut.map_err(Error::file(&segment.partial))?;
    let Segment { path, partial, file, .. } = &segment;
    if segment.length() == 0 {
        return fs::remove_file(partial).map_err(Error::file(partial));
    }
    match format {
        Format::Jsonl => complete(file, partial, path).map_err(Error::file(path)),
        Format::Parquet => {
            let mut sink = Sink::create(&path.with_extension("parquet"))?;
            for numbered in Source::open(partial)? {
                sink.write(&numbered?.record)?;
            }
            sink.finish()?;
            fs::remove_file(partial).map_err(Error::file(partial))
        }
    }
}
