//! What SageMaker would bill: counted in memory, and written down every few seconds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::resource_name::ResourceName;
use crate::store::Store;

/// The bills that calls are put on.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Locked for a variant's first call, and to write down what has come.
    bills: Mutex<BTreeMap<Account, Arc<Bill>>>,
    /// Held while the bills are written down, so that a reader misses none on its way.
    writing: tokio::sync::Mutex<()>,
}

/// What has a price of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account {
    /// The endpoint.
    pub(crate) endpoint: ResourceName,
    /// The variant.
    pub(crate) variant: ResourceName,
    /// Its memory.
    pub(crate) memory_mb: u16,
}

/// What has come on an account since it was last written down.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    /// Calls that reached a container.
    calls: AtomicU64,
    /// Their milliseconds, each rounded up.
    billed_ms: AtomicU64,
    /// Bytes of the calls.
    bytes_in: AtomicU64,
    /// Bytes of the answers.
    bytes_out: AtomicU64,
    /// Provisioned containers times the milliseconds for which they were kept.
    provisioned_ms: AtomicU64,
}

/// An amount on an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Calls that reached a container.
    pub(crate) calls: u64,
    /// Their milliseconds, each rounded up.
    pub(crate) billed_ms: u64,
    /// Bytes of the calls.
    pub(crate) bytes_in: u64,
    /// Bytes of the answers.
    pub(crate) bytes_out: u64,
    /// Provisioned containers times the milliseconds for which they were kept.
    pub(crate) provisioned_ms: u64,
}

impl Ledger {
    /// The bill of an account.
    pub(crate) fn bill(&self, account: Account) -> Arc<Bill> {
        Arc::clone(self.lock().entry(account).or_default())
    }

    /// Writes down what has come; what could not be written stays for the next time.
    pub(crate) async fn write_down(&self, store: &Store) -> Result<(), sqlx::Error> {
        let _one_at_a_time = self.writing.lock().await;
        let taken = self.take();
        let written = store.add_usage(&taken).await;
        if written.is_err() {
            taken.into_iter().for_each(|(account, entry)| self.bill(account).add(entry));
        }
        written
    }

    /// Everything that was ever put on an account.
    pub(crate) async fn read(&self, store: &Store) -> Result<Vec<(Account, Entry)>, sqlx::Error> {
        self.write_down(store).await?;
        store.usage().await
    }

    /// All that has come; the bills that nobody holds are forgotten.
    fn take(&self) -> Vec<(Account, Entry)> {
        let mut taken = Vec::new();
        self.lock().retain(|account, bill| {
            // Asked first: whoever holds it may still put something on it, and then let go.
            let is_held = Arc::get_mut(bill).is_none();
            let entry = bill.take();
            if entry != Entry::default() {
                taken.push((account.clone(), entry));
            }
            is_held
        });
        taken
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Account, Arc<Bill>>> {
        self.bills.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bill {
    /// Puts a call on the bill, each of whose milliseconds counts from its beginning.
    pub(crate) fn call(&self, took: Duration, bytes_in: usize, bytes_out: usize) {
        let billed_ms = u64::try_from(took.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let (bytes_in, bytes_out) = (bytes_in as u64, bytes_out as u64);
        self.add(Entry { calls: 1, billed_ms, bytes_in, bytes_out, provisioned_ms: 0 });
    }

    /// Puts so many provisioned containers on the bill, which were kept for so long.
    pub(crate) fn provisioned(&self, containers: u8, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.provisioned_ms.fetch_add(u64::from(containers) * ms, Relaxed);
    }

    fn add(&self, entry: Entry) {
        self.calls.fetch_add(entry.calls, Relaxed);
        self.billed_ms.fetch_add(entry.billed_ms, Relaxed);
        self.bytes_in.fetch_add(entry.bytes_in, Relaxed);
        self.bytes_out.fetch_add(entry.bytes_out, Relaxed);
        self.provisioned_ms.fetch_add(entry.provisioned_ms, Relaxed);
    }

    fn take(&self) -> Entry {
        Entry {
            calls: self.calls.swap(0, Relaxed),
            billed_ms: self.billed_ms.swap(0, Relaxed),
            bytes_in: self.bytes_in.swap(0, Relaxed),
            bytes_out: self.bytes_out.swap(0, Relaxed),
            provisioned_ms: self.provisioned_ms.swap(0, Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let name = |name| ResourceName::parse(name).unwrap();
        Account { endpoint: name("spam"), variant: name("all"), memory_mb: 2048 }
    }

    #[tokio::test]
    async fn what_was_billed_is_added_up_across_hosts_and_every_millisecond_counts_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.db");
        for _ in 0..2 {
            let store = Store::open(&path).await.unwrap();
            let ledger = Ledger::default();
            let bill = ledger.bill(account());
            bill.call(Duration::from_micros(1_001), 10, 20);
            bill.call(Duration::from_millis(3), 10, 20);
            bill.provisioned(2, Duration::from_secs(1));
            ledger.write_down(&store).await.unwrap();
            store.close().await;
        }
        let store = Store::open(&path).await.unwrap();
        let read = Ledger::default().read(&store).await.unwrap();
        let expected =
            Entry { calls: 4, billed_ms: 10, bytes_in: 40, bytes_out: 80, provisioned_ms: 4_000 };
        assert_eq!(read, [(account(), expected)]);
    }

    #[test]
    fn nothing_is_lost_that_is_put_on_a_bill_while_it_is_taken() {
        const CALLS: u64 = 200_000;
        let ledger = Ledger::default();
        let taken =
            |ledger: &Ledger| ledger.take().iter().map(|(_, entry)| entry.calls).sum::<u64>();
        let mut total = 0;
        std::thread::scope(|scope| {
            let calling = scope.spawn(|| {
                for _ in 0..CALLS {
                    ledger.bill(account()).call(Duration::ZERO, 1, 1);
                }
            });
            while !calling.is_finished() {
                total += taken(&ledger);
            }
        });
        assert_eq!(total + taken(&ledger), CALLS);
    }

    #[tokio::test]
    async fn what_could_not_be_written_down_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.db");
        let ledger = Ledger::default();
        ledger.bill(account()).call(Duration::from_millis(1), 1, 1);
        let closed = Store::open(&path).await.unwrap();
        closed.close().await;
        assert!(ledger.write_down(&closed).await.is_err());
        let store = Store::open(&path).await.unwrap();
        assert_eq!(ledger.read(&store).await.unwrap()[0].1.calls, 1);
    }
}
