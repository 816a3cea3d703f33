//! The folder of a replay: what was begun there, and how far it came.
//!
//! `replay.json` says what is replayed. With it, a replay that was interrupted is taken up again
//! by the same command; one that has finished is replaced, as those who repeat a command expect.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::answers;
use crate::error::Error;
use crate::shard::Shard;
use crate::whole;

const STATE_FILE: &str = "replay.json";

/// What makes two replays the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameters {
    /// The captured calls.
    pub(crate) records: Stamp,
    /// Where they are sent.
    pub(crate) target: String,
    /// The rules of the comparison.
    pub(crate) rules: Option<Stamp>,
    /// The legacy system's answers to being asked once more.
    pub(crate) noise: Option<Stamp>,
    /// The names of the headers that are put into requests.
    pub(crate) headers: Vec<String>,
    /// Which part of the records.
    #[serde(default)]
    pub(crate) shard: Option<Shard>,
}

/// A file or folder as it was at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// As it was given.
    pub(crate) path: PathBuf,
    /// How long it was.
    pub(crate) bytes: u64,
    /// Over the names, lengths and times of what is there.
    pub(crate) digest: String,
}

/// The folder of a replay, locked against others.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    state: State,
    answers: File,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    schema_version: u32,
    version: String,
    parameters: Parameters,
    /// When it was begun, and when it was taken up again.
    runs: Vec<Timestamp>,
    finished_at: Option<Timestamp>,
}

impl Stamp {
    /// Looks at a file, or at all files below a folder.
    ///
    /// # Errors
    /// When it isn't there.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        let (mut bytes, mut digest) = (0, Sha256::new());
        visit(path, &mut |path, metadata| {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            bytes += metadata.len();
            digest.update(format!("{:?} {} {}\n", path, metadata.len(), age.as_nanos()));
        })?;
        let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: path.to_owned(), bytes, digest })
    }
}

/// Looks at the files below a path in the order of their names.
fn visit(path: &Path, look: &mut impl FnMut(&Path, &fs::Metadata)) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(Error::file(path))?;
    if !metadata.is_dir() {
        look(path, &metadata);
        return Ok(());
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<_> =
        entries.map_err(Error::file(path))?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    paths.iter().try_for_each(|path| visit(path, look))
}

impl Folder {
    /// Takes up what was begun there with these parameters, or begins.
    ///
    /// # Errors
    /// When a replay of something else is unfinished there and `fresh` isn't asked for, or another
    /// process is at it.
    pub(crate) fn open(path: &Path, parameters: Parameters, fresh: bool) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::file(path))?;
        let answers = lock(path)?;
        let unfinished = State::read(path)?.filter(|state| state.finished_at.is_none());
        let state = match unfinished {
            Some(state) if !fresh => state.again(path, &parameters)?,
            _ => State::begin(path, parameters, &answers)?,
        };
        let mut folder = Self { path: path.to_owned(), state, answers };
        folder.cut_half_a_line()?;
        folder.state.write(path)?;
        Ok(folder)
    }

    /// Opens the folder of a replay that has finished.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn finished(path: &Path) -> Result<Self, Error> {
        let found = State::read(path)?;
        let Some(state) = found.filter(|state| state.finished_at.is_some()) else {
            let path = path.display();
            let reason =
                format!("`{path}` holds no finished replay; run it without `--only` first");
            return Err(Error::Usage(reason));
        };
        Ok(Self { path: path.to_owned(), state, answers: lock(path)? })
    }

    /// What is replayed.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.state.parameters
    }

    /// When the replay was begun and taken up again; never empty.
    pub(crate) fn runs(&self) -> &[Timestamp] {
        &self.state.runs
    }

    /// The answers until now.
    ///
    /// # Errors
    /// When they can't be read.
    pub(crate) fn answers(&self) -> Result<answers::Lines, Error> {
        answers::Lines::open(&self.path.join(answers::FILE))
    }

    /// Where further answers go; the folder stays locked as long as this lives.
    ///
    /// # Errors
    /// When the system has no more files.
    pub(crate) fn log(&self) -> Result<answers::Log, Error> {
        let path = self.path.join(answers::FILE);
        let file = self.answers.try_clone().map_err(Error::file(&path))?;
        Ok(answers::Log::new(path, file))
    }

    /// Says that all is done and reported.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.state.finished_at = Some(Timestamp::now());
        self.state.write(&self.path)
    }

    fn cut_half_a_line(&mut self) -> Result<(), Error> {
        let file = &mut self.answers;
        let cut = file.rewind().and_then(|()| answers::whole_lines_bytes(file));
        let cut = cut.and_then(|whole| file.set_len(whole).map(|()| whole));
        let cut = cut.and_then(|whole| file.seek(SeekFrom::Start(whole)));
        cut.map_err(Error::file(&self.path.join(answers::FILE)))?;
        Ok(())
    }
}

/// The file of answers, which nobody else writes to.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(answers::FILE);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(Error::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(Error::file(&path)(error)),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Usage(format!("another replay is writing to `{}`", folder.display())))
        }
    }
}

impl State {
    fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(STATE_FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::file(&path))?,
        };
        let state = serde_json::from_slice(&text).map_err(|error| {
            let path = path.display();
            Error::Usage(format!(
                "`{path}` is of another version ({error}); remove it to begin anew"
            ))
        })?;
        Ok(Some(state))
    }

    /// Removes the answers first: those of another replay must not be taken for this one's.
    fn begin(folder: &Path, parameters: Parameters, answers: &File) -> Result<Self, Error> {
        let emptied = answers.set_len(0).and_then(|()| answers.sync_data());
        emptied.map_err(Error::file(&folder.join(answers::FILE)))?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let runs = vec![Timestamp::now()];
        Ok(Self { schema_version: 1, version, parameters, runs, finished_at: None })
    }

    fn again(mut self, folder: &Path, parameters: &Parameters) -> Result<Self, Error> {
        if let Some(what) = self.parameters.difference(parameters) {
            let folder = folder.display();
            return Err(Error::Usage(format!(
                "`{folder}` holds an unfinished replay with {what}; `--fresh` gives it up and begins anew"
            )));
        }
        self.runs.push(Timestamp::now());
        Ok(self)
    }

    /// Whole or not at all.
    fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_json(folder, STATE_FILE, self)
    }
}

impl Parameters {
    /// In what another replay differs, for people.
    fn difference(&self, other: &Self) -> Option<String> {
        let Self { records, target, rules, noise, headers, shard } = self;
        let shown = |stamp: &Option<Stamp>| {
            stamp.as_ref().map_or("none".to_owned(), |stamp| stamp.path.display().to_string())
        };
        if *records != other.records {
            let was = if records.path == other.records.path { "before it was changed" } else { "" };
            return Some(
                format!("the records `{}` {was}", records.path.display()).trim_end().into(),
            );
        }
        if *target != other.target {
            return Some(format!("the target `{target}`"));
        }
        if *rules != other.rules {
            return Some(format!("other rules (`{}`)", shown(rules)));
        }
        if *noise != other.noise {
            return Some(format!("other noise (`{}`)", shown(noise)));
        }
        if *shard != other.shard {
            return Some(shard.map_or("all records".to_owned(), |shard| format!("shard {shard}")));
        }
        (*headers != other.headers).then(|| "other request headers".to_owned())
    }
}
