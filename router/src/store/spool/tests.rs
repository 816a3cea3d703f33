use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const LIMIT: u64 = 1 << 20;

fn record(body: &str) -> Record {
    Record { id: Uuid::now_v7(), body: body.as_bytes().to_vec() }
}

async fn open(folder: &Path) -> Spool {
    Spool::open(folder.to_owned(), LIMIT).await.unwrap()
}

/// A folder whose spool was left with these records by a process that died.
async fn left(records: &[Record]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    // The lock ends with the spool; the file stays.
    open(folder.path()).await.append(records.to_vec()).await.unwrap();
    folder
}

/// All that is in the spool, forgotten as it is read.
async fn drain(spool: &Spool) -> Vec<Record> {
    let mut drained = Vec::new();
    while let Some(batch) = spool.next().await.unwrap() {
        drained.extend(batch.records.iter().cloned());
        spool.forget(batch).await.unwrap();
    }
    drained
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_appended_is_found_and_drained_in_order_and_then_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    let records = [record("one"), record(""), record("three \u{1f37a}")];
    spool.append(records[..2].to_vec()).await.unwrap();
    spool.append(records[2..].to_vec()).await.unwrap();
    for record in &records {
        assert_eq!(spool.find(record.id).await.unwrap().as_ref(), Some(&record.body));
    }
    assert_eq!(drain(&spool).await, records);
    assert_eq!(spool.find(records[0].id).await.unwrap(), None);
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
    spool.append(vec![record("again")]).await.unwrap();
    assert_eq!(drain(&spool).await.len(), 1);
}

#[tokio::test]
async fn what_a_dead_process_left_is_taken_over_once() {
    let records = [record("one"), record("two")];
    let folder = left(&records).await;
    let spool = open(folder.path()).await;
    let other = open(folder.path()).await;
    assert_eq!(other.find(records[0].id).await.unwrap(), None);
    assert!(other.next().await.unwrap().is_none());
    assert_eq!(spool.find(records[1].id).await.unwrap(), Some(b"two".to_vec()));
    assert_eq!(drain(&spool).await, records);
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn what_a_process_leaves_that_dies_later_is_taken_over_later() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, other) = (open(folder.path()).await, open(folder.path()).await);
    let (own, left) = (record("own"), record("left"));
    spool.append(vec![own.clone()]).await.unwrap();
    other.append(vec![left.clone()]).await.unwrap();
    spool.take_over().await.unwrap();
    assert_eq!(spool.find(left.id).await.unwrap(), None);
    drop(other);
    spool.take_over().await.unwrap();
    assert_eq!(drain(&spool).await, [left, own]);
}

#[tokio::test]
async fn a_file_cut_at_any_byte_gives_its_whole_records_and_loses_nothing() {
    let records = [record("one"), record("two two"), record("three")];
    let written = left(&records).await;
    let bytes = fs::read(&files(written.path())[0]).unwrap();
    let ends = [0, 31, 66, 99];
    assert_eq!(bytes.len(), ends[3]);
    for cut in 0..=bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.spool"), &bytes[..cut]).unwrap();
        let spool = open(folder.path()).await;
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(drain(&spool).await, records[..whole], "cut at {cut}");
        let aside = files(folder.path());
        assert_eq!(aside.len(), usize::from(!ends.contains(&cut)), "cut at {cut}");
        assert!(aside.iter().all(|path| fs::read(path).unwrap() == bytes[..cut]));
    }
}

#[tokio::test]
async fn a_byte_that_flipped_ends_the_file_before_its_record() {
    let records = [record("one"), record("two"), record("three")];
    let written = left(&records).await;
    let bytes = fs::read(&files(written.path())[0]).unwrap();
    for place in 31..62 {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        fs::write(folder.path().join("a.spool"), &damaged).unwrap();
        assert_eq!(drain(&open(folder.path()).await).await, records[..1], "{place}");
        assert_eq!(fs::read(folder.path().join("a.damaged")).unwrap(), damaged);
    }
}

#[tokio::test]
async fn a_file_that_is_altered_while_it_is_held_is_put_aside_and_the_next_is_drained() {
    let folder = left(&[record("one"), record("two")]).await;
    let spool = open(folder.path()).await;
    let file = files(folder.path()).pop().unwrap();
    fs::write(&file, b"something else").unwrap();
    let own = record("own");
    spool.append(vec![own.clone()]).await.unwrap();
    assert_eq!(drain(&spool).await, [own]);
    assert_eq!(files(folder.path()), [file.with_extension("damaged")]);
}

#[tokio::test]
async fn records_that_are_put_aside_are_a_spool_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let records = [record("one"), record("two")];
    let aside = open(folder.path()).await.copy_aside(records.to_vec()).await.unwrap();
    assert!(drain(&open(folder.path()).await).await.is_empty());
    fs::rename(&aside, aside.with_extension("spool")).unwrap();
    assert_eq!(drain(&open(folder.path()).await).await, records);
}

#[tokio::test]
async fn a_file_that_cannot_be_taken_over_is_named_and_keeps_no_other_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    let records = [record("one")];
    open(folder.path()).await.append(records.to_vec()).await.unwrap();
    // As little a file that can be read as one of another user's, even for root.
    let odd = ["a.spool", "z.spool"].map(|name| folder.path().join(name));
    odd.iter().for_each(|odd| fs::create_dir(odd).unwrap());
    let fault = spool.take_over().await.unwrap_err().to_string();
    assert!(odd.iter().any(|odd| fault.contains(odd.to_str().unwrap())), "{fault}");
    assert_eq!(drain(&spool).await, records);
}

#[tokio::test]
async fn a_folder_is_made_with_all_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    open(&deep).await.append(vec![record("one")]).await.unwrap();
    assert_eq!(drain(&open(&deep).await).await.len(), 1);
}

#[tokio::test]
async fn a_spool_that_is_full_refuses_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path().to_owned(), 100).await.unwrap();
    let first = record(&"x".repeat(50));
    spool.append(vec![first.clone()]).await.unwrap();
    let full = spool.append(vec![record("xxx"), record("y")]).await.unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(drain(&spool).await, [first]);
    spool.append(vec![record("xxx"), record("y")]).await.unwrap();
}

#[tokio::test]
async fn records_may_come_while_others_are_drained() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    let appending = tokio::spawn({
        let spool = spool.clone();
        async move {
            let mut appended = Vec::new();
            for number in 0..200 {
                let batch: Vec<_> = (0..10).map(|n| record(&format!("{number} {n}"))).collect();
                spool.append(batch.clone()).await.unwrap();
                appended.extend(batch);
            }
            appended
        }
    });
    let mut drained = Vec::new();
    while !appending.is_finished() {
        drained.extend(drain(&spool).await);
    }
    drained.extend(drain(&spool).await);
    assert_eq!(drained, appending.await.unwrap());
    assert_eq!(files(folder.path()), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn processes_that_share_a_folder_neither_mix_nor_lose_records() {
    let folder = tempfile::tempdir().unwrap();
    let works = (0..4).map(|_| {
        let folder = folder.path().to_owned();
        tokio::spawn(async move {
            let (mut appended, mut drained) = (Vec::new(), Vec::new());
            for _ in 0..20 {
                let spool = open(&folder).await;
                let one = record("one");
                spool.append(vec![one.clone()]).await.unwrap();
                appended.push(one);
                // Every other spool dies and leaves its file, and those that it took over.
                if appended.len() % 2 == 0 {
                    drained.extend(drain(&spool).await);
                }
            }
            (appended, drained)
        })
    });
    let (mut appended, mut drained) = (Vec::new(), Vec::new());
    for work in works.collect::<Vec<_>>() {
        let (more_appended, more_drained) = work.await.unwrap();
        appended.extend(more_appended);
        drained.extend(more_drained);
    }
    drained.extend(drain(&open(folder.path()).await).await);
    appended.sort_by_key(|record| record.id);
    drained.sort_by_key(|record| record.id);
    assert_eq!(drained, appended);
}
