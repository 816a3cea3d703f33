use futures_util::FutureExt;
use futures_util::future::join_all;

use super::super::example::store;
use super::super::turn::Turn;
use super::example::{decision, row};
use super::*;

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (log, _decisions) = DecisionLog::with_queue(1);
    let mut first = Box::pin(log.keep(decision(), None));
    assert!(first.as_mut().now_or_never().is_none());
    let refused = log.keep(decision(), None).now_or_never().unwrap().unwrap_err();
    assert_eq!(refused.kind, Kind::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_waited_for_as_long_as_others_are_written() {
    let (log, mut decisions) = DecisionLog::with_queue(2);
    let progress = log.progress.clone();
    let writing = tokio::spawn(async move {
        let slow = decisions.recv().await.unwrap();
        for _ in 0..5 {
            tokio::time::sleep(PATIENCE * 3 / 4).await;
            progress.written.fetch_add(1, Ordering::Relaxed);
        }
        slow.kept.send(Ok("kept".to_owned())).unwrap();
        // The next one is never written.
        decisions.recv().await.unwrap()
    });
    assert_eq!(log.keep(decision(), None).await.unwrap(), "kept");
    assert_eq!(log.keep(decision(), None).await.unwrap_err().kind, Kind::StoreUnavailable);
    drop(writing.await.unwrap());
}

/// A caller's decision on its way to the writer.
fn pending(caller: Option<Expected>) -> Pending {
    let caller = caller.map(|expected| expected.made(Instant::now()));
    Pending { row: row(), caller, kept: oneshot::channel().0 }
}

/// A transaction that began when callers waited for so many decisions, and so lately that the next
/// is not due for a long time.
fn begun(expected: usize) -> Begun {
    Begun { at: Instant::now() + PATIENCE, expected }
}

#[tokio::test]
async fn a_decision_alone_is_written_at_once_though_another_was_just_before() {
    let (log, mut queue) = DecisionLog::with_queue(QUEUE);
    let mut batch = vec![pending(Some(log.expect()))];
    assert!(gather(&mut queue, &mut batch, &log.progress, begun(1)).now_or_never().is_some());
}

#[tokio::test]
async fn decisions_wait_for_others_until_half_of_those_that_callers_wait_for_are_there() {
    let (log, mut queue) = DecisionLog::with_queue(QUEUE);
    let mut expected: Vec<_> = (0..4).map(|_| log.expect()).collect();
    let mut batch = vec![pending(expected.pop()), pending(None)];
    let mut gathering = Box::pin(gather(&mut queue, &mut batch, &log.progress, begun(0)));
    assert!(gathering.as_mut().now_or_never().is_none());
    log.queue.try_send(pending(None)).unwrap();
    assert!(gathering.as_mut().now_or_never().is_none(), "no caller waits for it");
    log.queue.try_send(pending(expected.pop())).unwrap();
    assert!(gathering.as_mut().now_or_never().is_some());
    drop(gathering);
    assert_eq!(batch.len(), 4);
}

#[tokio::test]
async fn those_who_were_answered_just_now_are_waited_for_until_the_next_transaction_is_due() {
    let (log, mut queue) = DecisionLog::with_queue(QUEUE);
    let mut batch = vec![pending(Some(log.expect()))];
    let mut gathering = Box::pin(gather(&mut queue, &mut batch, &log.progress, begun(4)));
    assert!(gathering.as_mut().now_or_never().is_none());
    log.queue.try_send(pending(Some(log.expect()))).unwrap();
    assert!(gathering.as_mut().now_or_never().is_some());
    drop(gathering);
    let long_ago = Begun { at: Instant::now() - PATIENCE, expected: 100 };
    assert!(gather(&mut queue, &mut batch, &log.progress, long_ago).now_or_never().is_some());
}

#[tokio::test]
async fn what_will_not_come_after_all_is_not_waited_for() {
    let (log, mut queue) = DecisionLog::with_queue(QUEUE);
    let others: Vec<_> = (0..2).map(|_| log.expect()).collect();
    let mut batch = vec![pending(Some(log.expect()))];
    assert!(gather(&mut queue, &mut batch, &log.progress, begun(0)).now_or_never().is_none());
    drop(others);
    assert!(gather(&mut queue, &mut batch, &log.progress, begun(0)).now_or_never().is_some());
    batch.clear();
    batch.push(pending(None));
    assert!(gather(&mut queue, &mut batch, &log.progress, begun(0)).now_or_never().is_some());
}

#[test]
fn a_row_is_read_in_its_own_layout_only() {
    let mut text = serde_json::to_value(row()).unwrap();
    assert_eq!(text["format"], 1);
    let is_read = |text: &serde_json::Value| Row::deserialize(text).is_ok();
    assert!(is_read(&text));
    text["format"] = 2.into();
    assert!(!is_read(&text));
    text.as_object_mut().unwrap().remove("format");
    assert!(is_read(&text), "an older router wrote none");
}

#[test]
fn any_number_of_rows_is_one_statement_of_all_of_them() {
    for number in 0..=BATCH {
        let rows: Vec<_> = (0..number).map(|_| row()).collect();
        let padded = padded(&rows);
        assert!(padded.is_empty() == rows.is_empty());
        assert!(rows.is_empty() || padded.len().is_power_of_two());
        let same = |(padded, row): (&&Row, &Row)| std::ptr::eq(*padded, row);
        assert!(padded.len() >= number && padded.iter().zip(&rows).all(same));
    }
}

#[tokio::test]
async fn a_decision_is_kept_in_time_though_another_process_never_ends_its_turn() {
    let (store, folder) = store().await;
    // Who may open the folder can lock it.
    let lock = std::fs::File::open(folder.path()).unwrap();
    lock.lock().unwrap();
    let turn = Turn::at(&folder.path().join("a.db")).unwrap();
    let _taken = turn.wait(tokio::time::Instant::now() + PATIENCE).await.unwrap();
    let (log, writer) = DecisionLog::start(&store);
    for _ in 0..2 {
        assert_eq!(log.keep(decision(), None).await.unwrap(), "{}");
    }
    log.close();
    writer.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_batch_is_one_sample_of_how_long_callers_wait_and_what_none_waits_for_is_none() {
    let (store, _folder) = store().await;
    let (log, writer) = DecisionLog::start(&store);
    let keep = async |caller| drop(log.keep(decision(), caller).await.unwrap());
    let since = Instant::now() - WRITE_TIMEOUT;
    join_all((0..100).map(|_| keep(Some(log.expect().made(since))))).await;
    for _ in 0..50 {
        keep(None).await;
    }
    assert_eq!(log.usual_time(), None, "far fewer than there must be");
    for _ in 0..50 {
        keep(Some(log.expect().made(Instant::now()))).await;
    }
    assert!(log.usual_time().unwrap() < WRITE_TIMEOUT, "one stalled commit is no rule");
    log.close();
    writer.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_closed_log_writes_what_it_took_and_refuses_the_rest() {
    let (store, _folder) = store().await;
    let (log, writer) = DecisionLog::start(&store);
    let mut taken = Box::pin(log.keep(decision(), None));
    assert!(taken.as_mut().now_or_never().is_none());
    log.close();
    writer.await.unwrap();
    assert_eq!(taken.await.unwrap(), "{}");
    assert_eq!(log.keep(decision(), None).await.unwrap_err().kind, Kind::Stopping);
    store.close().await;
}
