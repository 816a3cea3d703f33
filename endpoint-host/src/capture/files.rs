//! The files of captured calls: a folder for each hour of each variant, a new file each minute.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::event::Captured;
use super::rule::Place;
use super::spool::{DONE, OPEN};

/// A file is delivered at this age.
const OLDEST: Duration = Duration::from_secs(30);

/// A file is delivered at this size.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The files that are being written.
#[derive(Debug)]
pub(super) struct Files {
    /// Nothing is written while the disk is fuller, in percent.
    fullest: u8,
    /// One for each folder.
    open: HashMap<PathBuf, Open>,
    /// The destinations of which it was said that nothing can be written there.
    told: HashSet<PathBuf>,
}

/// A file that is being written; it is opened for each line, so that any number may be.
#[derive(Debug)]
struct Open {
    /// Where it is.
    path: PathBuf,
    /// Its size.
    bytes: u64,
    /// When it was begun.
    since: Instant,
}

impl Files {
    /// No file yet.
    pub(super) fn new(fullest: u8) -> Self {
        Self { fullest, open: HashMap::new(), told: HashSet::new() }
    }

    /// The same without a file, for when writing has failed altogether.
    pub(super) fn without_any(&self) -> Self {
        Self::new(self.fullest)
    }

    /// Writes a call down; one that can't be is counted, and told once for each destination.
    pub(super) fn write(&mut self, captured: &Captured) {
        let root = captured.rule.place.root();
        let written = match self.append(captured) {
            // Its folder was empty, and removed in this very moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.append(captured),
            written => written,
        };
        match written {
            Ok(()) => {
                self.told.remove(root);
            }
            Err(error) => {
                captured.counters.capture_dropped();
                if self.told.insert(root.to_owned()) {
                    let endpoint = &captured.labels.endpoint;
                    tracing::warn!(%endpoint, "captured calls are dropped: {error}");
                }
            }
        }
    }

    /// Closes the files that are old or large enough, or all.
    pub(super) fn deliver(&mut self, all: bool) {
        let is_due = |open: &Open| all || open.bytes >= LARGEST || open.since.elapsed() >= OLDEST;
        for (_, open) in self.open.extract_if(|_, open| is_due(open)) {
            open.close();
        }
    }

    fn append(&mut self, captured: &Captured) -> io::Result<()> {
        let (root, ending) = match &captured.rule.place {
            Place::Folder(root) => (root, DONE),
            Place::Spool(root) => (root, OPEN),
        };
        let labels = &captured.labels;
        let hour = captured.time.strftime("%Y/%m/%d/%H").to_string();
        let variant = root.join(labels.endpoint.as_str()).join(labels.variant.as_str());
        let folder = variant.join(hour);
        // Each time, since empty folders are removed once their files are in their bucket.
        fs::create_dir_all(&folder)?;
        if !self.open.contains_key(&folder) {
            let minute = captured.time.strftime("%M-%S-%3f");
            let path = folder.join(format!("{minute}-{}.{ending}", Uuid::new_v4()));
            let open = Open { path, bytes: 0, since: Instant::now() };
            self.open.insert(folder.clone(), open);
        }
        check_disk(&folder, self.fullest)?;
        self.open.get_mut(&folder).map_or(Ok(()), |open| open.append(&captured.line()))
    }
}

impl Open {
    /// Adds a whole line, or nothing.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut file = File::options().append(true).create(true).open(&self.path)?;
        if let Err(error) = file.write_all(line) {
            file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn close(self) {
        if self.path.extension().is_some_and(|ending| ending == OPEN)
            && let Err(error) = fs::rename(&self.path, self.path.with_extension(DONE))
        {
            tracing::warn!("cannot close `{}`: {error}", self.path.display());
        }
    }
}

fn check_disk(folder: &Path, fullest: u8) -> io::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    // As `df` counts: what only root may use is no room.
    let all = used + disk.f_bavail;
    if used * 100 > all * u64::from(fullest) {
        let why = format!("the disk is more than {fullest} % full");
        return Err(io::Error::new(io::ErrorKind::StorageFull, why));
    }
    Ok(())
}
