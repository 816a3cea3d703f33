//! A local folder for what the database does not take at the moment; nothing in it is ever altered.
//!
//! Each process appends to a file of its own, which it holds locked. The lock ends with the process,
//! so a file that is not locked was left by one that died, and whoever finds it takes it over.

mod file;
mod record;

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use file::SpoolFile;

/// What to keep, under the id by which it is found again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// Of its own, whatever file it is in.
    pub(crate) id: Uuid,
    /// As it was handed over, byte for byte.
    pub(crate) body: Vec<u8>,
}

/// Some of the oldest records, to be given to the database.
#[derive(Debug)]
pub(crate) struct Batch {
    /// What it holds.
    pub(crate) records: Vec<Record>,
    /// The file that they are in, and where the records after them begin.
    file: PathBuf,
    end: u64,
}

/// The spool of this process.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    folder: PathBuf,
    /// The most bytes in all files.
    limit: u64,
    /// Those that other processes left, and last, if there is one, this process's own.
    files: Vec<SpoolFile>,
}

impl Spool {
    /// Opens the spool in this folder, which is made if it is missing, and takes over what
    /// processes that died have left in it.
    pub(crate) async fn open(folder: PathBuf, limit: u64) -> io::Result<Self> {
        make(&folder)?;
        let state = State { folder, limit, files: Vec::new() };
        let spool = Self { state: Arc::new(Mutex::new(state)) };
        spool.take_over().await?;
        Ok(spool)
    }

    /// Keeps all of these or, when this fails, owes none of them; they are on the disk afterwards.
    pub(crate) async fn append(&self, records: Vec<Record>) -> io::Result<()> {
        self.with(move |state| state.append(&records)).await
    }

    /// The body of the record with this id.
    pub(crate) async fn find(&self, id: Uuid) -> io::Result<Option<Vec<u8>>> {
        self.with(move |state| state.find(id)).await
    }

    /// The next records for the database; none when nothing is left.
    pub(crate) async fn next(&self) -> io::Result<Option<Batch>> {
        self.with(State::next).await
    }

    /// Forgets these records, which the database has taken; a file without others is removed.
    pub(crate) async fn forget(&self, batch: Batch) -> io::Result<()> {
        self.with(move |state| state.forget(&batch)).await
    }

    /// Keeps a copy of records that can't be handed over, in a file that is not looked at.
    pub(crate) async fn copy_aside(&self, records: Vec<Record>) -> io::Result<PathBuf> {
        self.with(move |state| file::copy_aside(&state.folder, &records)).await
    }

    /// How many records wait, and the bytes of the files that they are in.
    pub(crate) async fn held(&self) -> io::Result<(usize, u64)> {
        let held = |state: &mut State| {
            let records = state.files.iter().map(SpoolFile::waiting).sum();
            Ok((records, state.files.iter().map(SpoolFile::length).sum()))
        };
        self.with(held).await
    }

    /// Takes over what processes have left that died in the meantime.
    pub(crate) async fn take_over(&self) -> io::Result<()> {
        self.with(State::take_over).await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let state = Arc::clone(&self.state);
        let working =
            spawn_blocking(move || work(&mut state.lock().unwrap_or_else(PoisonError::into_inner)));
        working.await.map_err(io::Error::other)?
    }
}

/// Makes the folder, if it is missing, and those around it; their names are on the disk afterwards.
fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    // What is spooled is as private as the database.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for made in missing {
        let parent = made.parent().filter(|parent| parent != &Path::new(""));
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

impl State {
    /// One that can't be taken over keeps no other from it.
    fn take_over(&mut self) -> io::Result<()> {
        let mut fault = Ok(());
        for entry in self.folder.read_dir()? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != file::EXTENSION) {
                continue;
            }
            match SpoolFile::take_over(path.clone()) {
                // Not the last, which is this process's own.
                Ok(Some(left)) => self.files.insert(0, left),
                Ok(None) => {}
                Err(error) => fault = Err(naming(&path, &error)),
            }
        }
        fault
    }

    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let bytes = record::encode(records)?;
        let held: u64 = self.files.iter().map(SpoolFile::length).sum();
        if held + bytes.len() as u64 > self.limit {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spool's limit is reached"));
        }
        if self.files.last().is_none_or(SpoolFile::is_anothers) {
            self.files.push(SpoolFile::create(&self.folder)?);
        }
        let own = self.files.last_mut().expect("one was made if there was none");
        own.append(records, &bytes)
    }

    fn find(&self, id: Uuid) -> io::Result<Option<Vec<u8>>> {
        self.files.iter().find_map(|file| file.find(id).transpose()).transpose()
    }

    fn next(&mut self) -> io::Result<Option<Batch>> {
        let (mut place, mut fault) = (0, Ok(None));
        while let Some(file) = self.files.get(place) {
            match file.next() {
                Ok(batch) => return Ok(Some(batch)),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    tracing::error!(%error, "a spool file is not what it was");
                    self.files.remove(place).leave_damaged()?;
                }
                // What the disk does not give now it may give later; the others come first.
                Err(error) => {
                    fault = Err(naming(file.path(), &error));
                    place += 1;
                }
            }
        }
        fault
    }

    fn forget(&mut self, batch: &Batch) -> io::Result<()> {
        match self.place(batch) {
            Some(place) if !self.files[place].forget(batch) => self.files.remove(place).remove(),
            _ => Ok(()),
        }
    }

    /// Which file these records are in.
    fn place(&self, batch: &Batch) -> Option<usize> {
        self.files.iter().position(|file| file.path() == batch.file)
    }
}

/// The fault of a file, with its name.
fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
