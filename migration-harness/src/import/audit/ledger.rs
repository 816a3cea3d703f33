//! Finds out exactly which keys come again, with little memory: most of them lie in files.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::path::PathBuf;

use crate::error::Error;

/// So many keys are held before they are put into files ...
const HELD: usize = 1 << 16;
/// ... of which there are so many; one at a time is looked through.
const PARTS: usize = 128;

/// The first half of a SHA-256.
pub(super) type Key = [u8; 16];

/// The keys of a stream.
#[derive(Debug)]
pub(super) struct Ledger {
    folder: PathBuf,
    count: u64,
    /// Keys, each with how many stood before it.
    held: Vec<(Key, u64)>,
    is_spilled: bool,
}

/// A key that came again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// How many keys stood before it.
    pub(crate) number: u64,
    /// The how many-th of its kind it is, from 2.
    pub(crate) time: u64,
}

/// What came again, in the order of the stream.
pub(crate) struct Repeats {
    /// How many there are.
    pub(crate) count: u64,
    folder: PathBuf,
    /// Of each part its repeats.
    runs: Vec<Box<dyn Read>>,
    /// Of each run the next, as number, time and run.
    heads: BinaryHeap<Reverse<(u64, u64, usize)>>,
}

impl Ledger {
    /// Begins; `folder` is made once it is needed.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, count: 0, held: Vec::new(), is_spilled: false }
    }

    /// Appends a key.
    ///
    /// # Errors
    /// When files are needed and can't be written.
    pub(super) fn add(&mut self, key: Key) -> Result<(), Error> {
        self.held.push((key, self.count));
        self.count += 1;
        if self.held.len() == HELD {
            self.spill().map_err(Error::file(&self.folder))?;
        }
        Ok(())
    }

    /// The keys that came again.
    ///
    /// # Errors
    /// When the files can't be written or read.
    pub(super) fn repeats(mut self) -> Result<Repeats, Error> {
        let folder = self.folder.clone();
        if self.is_spilled {
            self.spill().map_err(Error::file(&folder))?;
        }
        self.find().map_err(Error::file(&folder))
    }

    fn spill(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.is_spilled = true;
        let mut parts = vec![Vec::new(); PARTS];
        for (key, number) in self.held.drain(..) {
            let part = &mut parts[usize::from(key[0]) % PARTS];
            part.extend_from_slice(&key);
            part.extend_from_slice(&number.to_le_bytes());
        }
        for (part, entries) in parts.iter().enumerate() {
            File::options().create(true).append(true).open(self.part(part))?.write_all(entries)?;
        }
        Ok(())
    }

    fn find(self) -> io::Result<Repeats> {
        let (folder, runs) = (self.folder.clone(), Vec::new());
        let mut repeats = Repeats { count: 0, folder, runs, heads: BinaryHeap::new() };
        if self.is_spilled {
            for part in 0..PARTS {
                let path = self.part(part);
                let found = path.with_extension("again");
                let mut run = BufWriter::new(File::create(&found)?);
                repeats.count += look_through(&mut entries(File::open(&path)?), &mut run)?;
                run.flush()?;
                fs::remove_file(&path)?;
                repeats.runs.push(Box::new(BufReader::new(File::open(found)?)));
            }
        } else {
            let mut run = Vec::new();
            repeats.count = look_through(&mut self.held.into_iter().map(Ok), &mut run)?;
            repeats.runs.push(Box::new(Cursor::new(run)));
        }
        for run in 0..repeats.runs.len() {
            repeats.advance(run)?;
        }
        Ok(repeats)
    }

    fn part(&self, part: usize) -> PathBuf {
        self.folder.join(part.to_string())
    }
}

/// Writes where a key comes again, and for the how many-th time; tells how many do.
fn look_through(
    entries: &mut dyn Iterator<Item = io::Result<(Key, u64)>>,
    run: &mut dyn Write,
) -> io::Result<u64> {
    let (mut times, mut count) = (HashMap::<Key, u64>::new(), 0);
    for entry in entries {
        let (key, number) = entry?;
        let time = times.entry(key).and_modify(|time| *time += 1).or_insert(1);
        if *time > 1 {
            count += 1;
            run.write_all(&number.to_le_bytes())?;
            run.write_all(&time.to_le_bytes())?;
        }
    }
    Ok(count)
}

fn entries(file: File) -> impl Iterator<Item = io::Result<(Key, u64)>> {
    let mut file = BufReader::new(file);
    std::iter::from_fn(move || {
        let key = read_some::<16>(&mut file).transpose()?;
        Some(key.and_then(|key| {
            let mut number = [0; 8];
            file.read_exact(&mut number)?;
            Ok((key, u64::from_le_bytes(number)))
        }))
    })
}

/// The next bytes, unless there are none.
fn read_some<const N: usize>(reader: &mut dyn Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    let mut first = 0;
    while first == 0 {
        match reader.read(&mut bytes) {
            Ok(0) => return Ok(None),
            Ok(read) => first = read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    reader.read_exact(&mut bytes[first..])?;
    Ok(Some(bytes))
}

impl Repeats {
    fn advance(&mut self, run: usize) -> io::Result<()> {
        let reader = &mut self.runs[run];
        if let Some(number) = read_some::<8>(reader)? {
            let mut time = [0; 8];
            reader.read_exact(&mut time)?;
            let next = (u64::from_le_bytes(number), u64::from_le_bytes(time), run);
            self.heads.push(Reverse(next));
        }
        Ok(())
    }
}

impl Iterator for Repeats {
    type Item = Result<Repeat, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((number, time, run)) = self.heads.pop()?;
        let advanced = self.advance(run).map_err(Error::file(&self.folder));
        Some(advanced.map(|()| Repeat { number, time }))
    }
}

impl fmt::Debug for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeats").field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of which each seventh is the same, and the places where it comes again.
    fn found(count: u64) -> (u64, Vec<Repeat>) {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(folder.path().join("ids"));
        for number in 0..count {
            let value = if number % 7 == 0 { u64::MAX } else { number };
            let mut key = [0; 16];
            key[..8].copy_from_slice(&value.to_le_bytes());
            ledger.add(key).unwrap();
        }
        let repeats = ledger.repeats().unwrap();
        (repeats.count, repeats.map(Result::unwrap).collect())
    }

    #[test]
    fn repeats_are_found_in_order_whether_they_fit_into_memory_or_not() {
        for count in [0, 1, 50, 2 * HELD as u64 + 1] {
            let expected: Vec<_> =
                (7..count).step_by(7).map(|n| Repeat { number: n, time: n / 7 + 1 }).collect();
            assert_eq!(found(count), (expected.len() as u64, expected));
        }
    }
}
