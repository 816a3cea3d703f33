//! What becomes of a run whose parts fail.

use std::path::PathBuf;

use super::super::pace::Pace;
use super::*;
use crate::caller::Means;
use crate::record::{Numbered, Place};
use crate::tally::tests::record;
use crate::target::{FixedHeaders, Target};

/// Counts answers; panics at one, if that is asked for.
#[derive(Debug, Default)]
struct Counter {
    taken: usize,
    panics_at: Option<usize>,
}

impl Bench for Counter {
    fn take(&mut self, _: &Captured, _: &Outcome) -> Result<(), Error> {
        self.taken += 1;
        assert!(Some(self.taken) != self.panics_at, "as the test wants it");
        Ok(())
    }

    fn rest(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }
}

fn captured(sequence: u64) -> Captured {
    let record = record(&sequence.to_string(), "spam", "a", "x");
    let place = Place { path: PathBuf::from("records.jsonl").into(), line: sequence + 1 };
    Captured { numbered: Numbered { sequence, record, place }, noise: None }
}

/// Five records, of which one in the middle can't be had without a panic.
fn panicking() -> impl Iterator<Item = Result<Captured, Error>> + Send + 'static {
    (0..5).map(|sequence| {
        assert!(sequence != 3, "as the test wants it");
        Ok(captured(sequence))
    })
}

/// Runs against a port at which nobody listens.
async fn ended(
    records: impl Iterator<Item = Result<Captured, Error>> + Send + 'static,
    pace: Pace,
    bench: Counter,
) -> Result<usize, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let target = Target::parse(&url, FixedHeaders::default()).unwrap();
    let caller = Caller::new(Duration::from_secs(10), 0, Means::default());
    let feed = Feed::start(records, Arc::new(target), pace);
    let ended = run(feed, Arc::new(caller), 2, bench).await;
    ended.map(|(bench, _)| bench.taken).map_err(|error| {
        assert_eq!(error.exit_code(), 70);
        error.to_string()
    })
}

#[tokio::test]
async fn records_that_end_are_all_taken() {
    let records = (0..5).map(|sequence| Ok(captured(sequence)));
    assert_eq!(ended(records, Pace::Free, Counter::default()).await, Ok(5));
}

#[tokio::test]
async fn a_panic_of_the_reader_is_no_end_of_the_records() {
    let error = ended(panicking(), Pace::Free, Counter::default()).await.unwrap_err();
    assert!(error.contains("the thread that reads records ended by a panic"), "{error}");
}

#[tokio::test]
async fn a_panic_of_a_sender_is_no_end_of_the_calls() {
    let records = (0..5).map(|sequence| Ok(captured(sequence)));
    // No time is as long as the gap between such calls.
    let never = Pace::Rate(1e-300);
    let error = ended(records, never, Counter::default()).await.unwrap_err();
    assert!(error.contains("a task that makes calls ended by a panic"), "{error}");
}

#[tokio::test]
async fn a_panic_of_the_comparison_is_an_error() {
    let records = (0..5).map(|sequence| Ok(captured(sequence)));
    let bench = Counter { panics_at: Some(2), ..Counter::default() };
    let error = ended(records, Pace::Free, bench).await.unwrap_err();
    assert!(error.contains("the comparison ended by a panic"), "{error}");
}

#[tokio::test]
async fn a_target_that_is_down_is_noticed_with_large_records_too() {
    let body = bytes::Bytes::from(vec![b'x'; 4 << 20]);
    let records = (0..100).map(move |sequence| {
        let mut captured = captured(sequence);
        captured.numbered.record.request.body = body.clone();
        Ok(captured)
    });
    let error = ended(records, Pace::Free, Counter::default()).await.unwrap_err();
    assert!(error.contains("let nobody connect for 16 calls in a row"), "{error}");
}
