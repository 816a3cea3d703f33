//! One file of records that is being written, as whole lines.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::record::partial;

/// What the names of all files begin with.
const PREFIX: &str = "capture-";
/// How the name of one ends that is being written, or was when its writer ended.
const LEFTOVER: &str = ".jsonl.partial";
/// How that of a Parquet file ends that is being made.
const HALF_MADE: &str = ".parquet.partial";
/// How many names are tried: two captures may begin at once.
const MAX_TRIES: usize = 100;
/// How much of a leftover is read at a time, from its end.
const CHUNK_BYTES: u64 = 64 << 10;

/// A file called `NAME.jsonl.partial`, and locked as long as it is held.
#[derive(Debug)]
pub(super) struct Segment {
    /// What it is called once it is complete, as JSON lines.
    pub(super) path: PathBuf,
    /// What it is called until then.
    pub(super) partial: PathBuf,
    /// The file itself.
    pub(super) file: File,
    length: u64,
    begun: Instant,
    is_broken: bool,
}

impl Segment {
    /// A new file, named after the time.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        for _ in 0..MAX_TRIES {
            let time = Timestamp::now().strftime("%Y%m%dT%H%M%S.%6fZ");
            let path = folder.join(format!("{PREFIX}{time}.jsonl"));
            let partial = partial(&path);
            match File::options().create_new(true).read(true).write(true).open(&partial) {
                Ok(file) => {
                    // Whoever looks at the folder just now holds the lock for a moment, and may have
                    // taken the empty file away.
                    file.lock()?;
                    if fs::metadata(&partial).is_ok_and(|it| it.ino() == inode(&file)) {
                        return Self::held(path, partial, file);
                    }
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no name is free for a new file"))
    }

    /// A file whose lock is held.
    fn held(path: PathBuf, partial: PathBuf, file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { path, partial, file, length, begun: Instant::now(), is_broken: false })
    }

    /// Appends lines, and says how many bytes of them stay: whole lines, as far as there was room.
    pub(super) fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let written = self.file.write_all_at(lines, self.length);
        let kept = if written.is_ok() { lines.len() } else { self.whole_lines_of(lines) };
        self.length += kept as u64;
        if written.is_err() {
            // Half a line must not stand before another.
            self.is_broken = self.file.set_len(self.length).is_err();
        }
        (kept, written)
    }

    /// How many bytes of the lines, whose writing has failed, are whole lines in the file.
    fn whole_lines_of(&self, lines: &[u8]) -> usize {
        let end = self.file.metadata().map_or(0, |file| file.len());
        let written = end.saturating_sub(self.length).min(lines.len() as u64) as usize;
        lines[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
    }

    /// How much it holds.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether part of a line may stand at its end, so that nothing may be appended.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether it holds anything, and has for so long.
    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.length > 0 && self.begun.elapsed() >= age
    }

    /// Cuts off what is no whole line.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        self.length = whole_lines(&mut self.file)?;
        self.file.set_len(self.length)
    }
}

fn inode(file: &File) -> u64 {
    file.metadata().map_or(0, |it| it.ino())
}

/// Where the last line feed stands, or the start.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        chunk.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// What captures that were killed left in a folder; those that still run keep theirs.
pub(super) fn leftovers(folder: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let (path, name) = entry.map(|it| (it.path(), it.file_name()))?;
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) || !(name.ends_with(LEFTOVER) || name.ends_with(HALF_MADE)) {
            continue;
        }
        let file = File::options().read(true).write(true).open(&path)?;
        if file.try_lock().is_err() {
            continue;
        }
        let segment = Segment::held(path.with_extension(""), path.clone(), file)?;
        if name.ends_with(LEFTOVER) && !segment.path.with_extension("parquet").exists() {
            found.push(segment);
        } else {
            // What it was made of is still there, or what it was made into.
            fs::remove_file(path)?;
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_last_line_is_cut_off_and_all_before_it_stays() {
        let whole = "x".repeat(100_000) + "\n{}\n";
        for (written, kept) in [
            ("", ""),
            ("{\"a", ""),
            (&whole, &whole),
            (&(whole.clone() + &"y".repeat(70_000)), &whole),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("capture-1.jsonl.partial"), written).unwrap();
            let mut found = leftovers(folder.path()).unwrap();
            found[0].cut().unwrap();
            assert_eq!(fs::read_to_string(&found[0].partial).unwrap(), kept);
        }
    }

    #[test]
    fn files_of_a_running_capture_and_of_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let running = Segment::create(folder.path()).unwrap();
        for other in ["notes.jsonl.partial", "capture-2.jsonl"] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        assert!(leftovers(folder.path()).unwrap().is_empty());
        drop(running);
        assert_eq!(leftovers(folder.path()).unwrap().len(), 1);
    }
}
