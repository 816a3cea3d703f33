//! Whose turn it is to write to an SQLite file that processes share.
//!
//! SQLite's lock goes to whoever asks in the moment in which it is free: under load that is nearly
//! always the process that has just let go of it. So processes line up, and only one asks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, timeout_at};

/// The pause between two looks whether the turn has come.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the turn is waited for: a process that hangs in its turn must not stop the others.
const PATIENCE: Duration = Duration::from_millis(300);

/// The place where the processes that share a file line up.
#[derive(Clone)]
pub(super) struct Turn {
    /// A file beside the database's, locked by the process that is next. The database's own will
    /// not do: SQLite loses its locks on it when somebody else in the process opens and closes it.
    /// Nor will anything that others can open, and so lock.
    file: Arc<Mutex<File>>,
}

/// The turn; it is the next one's when this is dropped.
pub(super) struct Taken {
    file: OwnedMutexGuard<File>,
}

impl Turn {
    /// The line for the database at `path`.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let mut path = std::fs::canonicalize(path)?.into_os_string();
        path.push(".turn");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }

    /// Waits for the turn, to be kept until the database's own lock is held. It is a courtesy:
    /// when it takes long, or where files can't be locked, one asks without it.
    pub(super) async fn wait(&self, deadline: Instant) -> Option<Taken> {
        let waiting = async {
            let file = Arc::clone(&self.file).lock_owned().await;
            loop {
                match file.try_lock() {
                    Ok(()) => return Some(Taken { file }),
                    Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
                    Err(TryLockError::Error(_)) => return None,
                }
            }
        };
        timeout_at(deadline.min(Instant::now() + PATIENCE), waiting).await.ok().flatten()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::error!(%error, "cannot end the turn to write to the database");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::super::{Location, Store, example};
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Writes once, and takes its time for it.
    async fn write(store: &Store) {
        let transaction = store.begin(LONG).await.unwrap();
        sleep(Duration::from_millis(5)).await;
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn who_writes_without_a_pause_lets_others_in() {
        let (store, folder) = example::store().await;
        let other = Store::open(&Location::Sqlite(folder.path().join("a.db"))).await.unwrap();
        let written = Arc::new(AtomicUsize::new(0));
        let mut writing = JoinSet::new();
        // While one of them writes, the next waits for the same connection and has it at once.
        for _ in 0..3 {
            let (store, written) = (store.clone(), Arc::clone(&written));
            writing.spawn(async move {
                loop {
                    write(&store).await;
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..20 {
            write(&other).await;
        }
        writing.shutdown().await;
        // One each in turn; left to SQLite, one side has next to all.
        let written = written.load(Ordering::Relaxed);
        assert!((10..60).contains(&written), "{written} to 20");
        store.close().await;
        other.close().await;
    }

    #[tokio::test]
    async fn a_database_in_a_folder_that_takes_no_more_files_is_written_to() {
        let (store, folder) = example::store().await;
        std::fs::remove_file(folder.path().join("a.db.turn")).unwrap();
        // SQLite's own files are there, as long as somebody has the database open.
        let take = |mode| std::fs::set_permissions(folder.path(), Permissions::from_mode(mode));
        take(0o500).unwrap();
        let other = Store::open(&Location::Sqlite(folder.path().join("a.db"))).await.unwrap();
        write(&other).await;
        other.close().await;
        write(&store).await;
        store.close().await;
        take(0o700).unwrap();
    }

    #[tokio::test]
    async fn a_database_whose_turns_cannot_be_taken_is_written_to_without() {
        let (store, folder) = example::store().await;
        store.close().await;
        let path = folder.path().join("a.db");
        let line = folder.path().join("a.db.turn");
        assert_eq!(std::fs::metadata(&line).unwrap().mode() & 0o777, 0o600);
        // As little a file that can be opened as one of another user's, even for root.
        std::fs::remove_file(&line).unwrap();
        std::fs::create_dir(&line).unwrap();
        let store = Store::open(&Location::Sqlite(path)).await.unwrap();
        write(&store).await;
        store.close().await;
    }
}
