//! One file of the spool, locked by the process that holds it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::record::{self, FRAME};
use super::{Batch, Record};

/// What the names of these files end in.
pub(super) const EXTENSION: &str = "spool";
/// What those end in that hold, after their last whole record, something else.
const DAMAGED: &str = "damaged";
/// What those end in whose records are whole, but can't be handed over.
const ASIDE: &str = "aside";

/// The most records in one batch, and about how many bytes.
const BATCH: usize = 256;
const BATCH_BYTES: u64 = 8 << 20;

#[derive(Debug)]
pub(super) struct SpoolFile {
    path: PathBuf,
    /// Locked for as long as it is open.
    file: File,
    origin: Origin,
    /// Where the records that are not forgotten begin.
    places: HashMap<Uuid, u64>,
    /// The bytes of the whole records, all of which are on the disk.
    length: u64,
    /// The bytes of those that the database has.
    forgotten: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    Own,
    /// Left by a process that died; whether anything but whole records is in it.
    Left {
        damaged: bool,
    },
}

impl SpoolFile {
    /// A new file for this process.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        loop {
            let path = folder.join(format!("{}.{EXTENSION}", Uuid::now_v7()));
            let mut options = OpenOptions::new();
            let file = options.create_new(true).read(true).write(true).mode(0o600).open(&path)?;
            // Another process may have taken it for a file that was left.
            if is_held(&file)? {
                // The file's name must be on the disk, too.
                File::open(folder)?.sync_all()?;
                return Ok(Self::new(path, file, Origin::Own));
            }
        }
    }

    /// The file at `path`, unless another process holds it or it is gone.
    pub(super) fn take_over(path: PathBuf) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if !is_held(&file)? {
            return Ok(None);
        }
        let mut left = Self::new(path, file, Origin::Left { damaged: false });
        left.read_all()?;
        if left.length == 0 {
            left.remove()?;
            return Ok(None);
        }
        Ok(Some(left))
    }

    fn new(path: PathBuf, file: File, origin: Origin) -> Self {
        Self { path, file, origin, places: HashMap::new(), length: 0, forgotten: 0 }
    }

    /// Finds the whole records.
    fn read_all(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(Reader { file: &self.file, place: 0 });
        while let Some(record) = record::read(&mut reader)? {
            self.places.insert(record.id, self.length);
            self.length += size(&record);
        }
        self.origin = Origin::Left { damaged: self.file.metadata()?.len() > self.length };
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many records are not forgotten.
    pub(super) fn waiting(&self) -> usize {
        self.places.len()
    }

    /// The bytes that it takes on the disk.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether another process made it.
    pub(super) fn is_anothers(&self) -> bool {
        self.origin != Origin::Own
    }

    /// Keeps these records, whose bytes are `bytes`; they are on the disk afterwards.
    pub(super) fn append(&mut self, records: &[Record], bytes: &[u8]) -> io::Result<()> {
        // What a write that failed has left after the last record is written over.
        let written = self.file.write_all_at(bytes, self.length);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            drop(self.file.set_len(self.length));
            return Err(error);
        }
        for record in records {
            self.places.insert(record.id, self.length);
            self.length += size(record);
        }
        Ok(())
    }

    /// The body of the record with this id.
    pub(super) fn find(&self, id: Uuid) -> io::Result<Option<Vec<u8>>> {
        let Some(&place) = self.places.get(&id) else { return Ok(None) };
        Ok(Some(self.record(&mut Reader { file: &self.file, place })?.body))
    }

    /// The oldest records that are not forgotten.
    pub(super) fn next(&self) -> io::Result<Batch> {
        let (mut records, mut end) = (Vec::new(), self.forgotten);
        let mut reader = BufReader::new(Reader { file: &self.file, place: end });
        while end < self.length && records.len() < BATCH && end < self.forgotten + BATCH_BYTES {
            let record = self.record(&mut reader)?;
            end += size(&record);
            records.push(record);
        }
        Ok(Batch { records, file: self.path.clone(), end })
    }

    /// Forgets this batch; whether anything else is left.
    pub(super) fn forget(&mut self, batch: &Batch) -> bool {
        self.forgotten = batch.end;
        for record in &batch.records {
            self.places.remove(&record.id);
        }
        self.forgotten < self.length
    }

    /// Removes the file, or puts it aside if there is something in it that nobody could read.
    pub(super) fn remove(self) -> io::Result<()> {
        match self.origin {
            Origin::Left { damaged: true } => self.leave_damaged(),
            _ => fs::remove_file(&self.path),
        }
    }

    /// Leaves the file for people, under a name that is not looked at.
    pub(super) fn leave_damaged(self) -> io::Result<()> {
        let path = self.path.with_extension(DAMAGED);
        tracing::warn!(
            file = %path.display(),
            whole_bytes = self.length,
            handed_over_bytes = self.forgotten,
            "a spool file that is not whole, as when a process died while it wrote, is put aside"
        );
        fs::rename(&self.path, path)
    }

    /// A record that was whole when it was written or taken over.
    fn record(&self, reader: &mut impl Read) -> io::Result<Record> {
        record::read(reader)?.ok_or_else(|| {
            let fault = format!("the spool file {} was altered", self.path.display());
            io::Error::new(ErrorKind::InvalidData, fault)
        })
    }
}

/// Writes these records to a file of their own under a name that is not looked at; its path.
pub(super) fn copy_aside(folder: &Path, records: &[Record]) -> io::Result<PathBuf> {
    // The same for the same records, should it be written again.
    let name = records.first().map_or_else(Uuid::now_v7, |record| record.id);
    let path = folder.join(format!("{name}.{ASIDE}"));
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(&path)?;
    file.write_all_at(&record::encode(records)?, 0)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(path)
}

/// Locks the file; `false` if another process has it, or had it and removed it.
fn is_held(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(file.metadata()?.nlink() > 0),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn size(record: &Record) -> u64 {
    (FRAME + record.body.len()) as u64
}

/// Reads a file from a place on, whoever else reads or writes it.
struct Reader<'a> {
    file: &'a File,
    place: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.place)?;
        self.place += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spool;
    use super::*;

    #[tokio::test]
    async fn what_the_disk_does_not_give_now_is_kept_and_the_others_are_drained() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Spool::open(folder.path().to_owned(), 1 << 20);
        let record = || Record { id: Uuid::now_v7(), body: b"body".to_vec() };
        let (left, own) = (record(), record());
        open().await.unwrap().append(vec![left.clone()]).await.unwrap();
        let spool = open().await.unwrap();
        spool.append(vec![own.clone()]).await.unwrap();

        let path = spool.state.lock().unwrap().files[0].path.clone();
        let unreadable = OpenOptions::new().write(true).open(&path).unwrap();
        let readable =
            std::mem::replace(&mut spool.state.lock().unwrap().files[0].file, unreadable);
        let batch = spool.next().await.unwrap().unwrap();
        assert_eq!(batch.records, [own]);
        spool.forget(batch).await.unwrap();
        let fault = spool.next().await.unwrap_err().to_string();
        assert!(fault.contains(path.to_str().unwrap()), "{fault}");

        spool.state.lock().unwrap().files[0].file = readable;
        assert_eq!(spool.next().await.unwrap().unwrap().records, [left]);
    }
}
