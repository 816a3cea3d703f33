//! Counts distinct requests exactly, in memory of a fixed size: what doesn't fit waits in files.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::record::Fingerprint;

/// What entries may take in memory.
const MEMORY_BYTES: usize = 32 << 20;
/// An entry in a file: a fingerprint and, in four bytes, its group and whether it differed.
const ENTRY_BYTES: usize = 20;
/// Each level of files tells requests apart by so many bits of their fingerprints.
const LEVEL_BITS: u32 = 6;
/// The levels that a fingerprint has bits for.
const MAX_LEVEL: u32 = 128 / LEVEL_BITS - 1;

/// A request of a group, and whether it differed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The request.
    pub(crate) request: Fingerprint,
    /// The number of the group.
    pub(crate) group: u32,
    /// Whether it differed.
    pub(crate) differs: bool,
}

/// Requests that are to be counted.
#[derive(Debug)]
pub(crate) struct Ledger {
    folder: PathBuf,
    level: u32,
    capacity: usize,
    packed: Vec<Packed>,
    has_files: bool,
    keeps_files: bool,
    repeated: Option<Fingerprint>,
}

/// How many distinct requests there are, and how many of them differed at least once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Distinct {
    /// Requests.
    pub(crate) requests: u64,
    /// Those that differed.
    pub(crate) mismatches: u64,
}

/// What a ledger counted.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// In all.
    pub(crate) whole: Distinct,
    /// Of each group, by its number.
    pub(crate) groups: Vec<Distinct>,
    /// A request that was added more than once to its group, if there is one.
    pub(crate) repeated: Option<Fingerprint>,
}

/// Takes sorted entries, several at a time.
type Show<'a> = &'a mut dyn FnMut(&[Packed]) -> Result<(), Error>;

/// An entry without padding: the group's number twice over, plus one if the request differed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    request: Fingerprint,
    mark: u32,
}

impl Ledger {
    /// An empty ledger, which makes the folder once it needs it, in place of what an interrupted
    /// run left there, and removes it in the end.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self::at_level(folder, 0, MEMORY_BYTES / size_of::<Packed>())
    }

    fn at_level(folder: PathBuf, level: u32, capacity: usize) -> Self {
        let (packed, repeated) = (Vec::new(), None);
        Self { folder, level, capacity, packed, has_files: false, keeps_files: false, repeated }
    }

    /// Adds a request.
    ///
    /// # Errors
    /// When what doesn't fit into memory can't be written.
    pub(crate) fn add(&mut self, entry: Entry) -> Result<(), Error> {
        if self.packed.len() >= self.capacity {
            self.make_room()?;
        }
        if self.packed.capacity() == 0 {
            // At once, as growing copies; what is never written to takes no memory.
            self.packed.reserve_exact(self.capacity);
        }
        self.packed.push(Packed::of(entry));
        Ok(())
    }

    /// Reads the files of a ledger that kept them.
    ///
    /// # Errors
    /// When they can't be read, or `give` says so.
    pub(crate) fn read(
        folder: &Path,
        mut give: impl FnMut(Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for part in 0..1 << LEVEL_BITS {
            read_file(&part_of(folder, part), |packed| give(packed.entry()))?;
        }
        Ok(())
    }

    /// Writes everything to the folder, where it stays.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn keep(&mut self) -> Result<(), Error> {
        let has_spilled = self.has_files;
        self.compact();
        self.write_out()?;
        if has_spilled {
            // What was written out in several turns may be there several times.
            (0..1 << LEVEL_BITS).try_for_each(|part| self.tidy(part))?;
        }
        self.keeps_files = true;
        Ok(())
    }

    fn tidy(&mut self, part: u32) -> Result<(), Error> {
        let file = part_of(&self.folder, part);
        let tidied = file.with_extension("tidied");
        self.visit_part(part, &mut |packed| append(&tidied, packed))?;
        fs::rename(&tidied, &file).map_err(Error::file(&tidied))
    }

    /// Gives each entry once; they all stay.
    ///
    /// # Errors
    /// When files can't be read or written, or `give` says so.
    pub(crate) fn each(
        &mut self,
        mut give: impl FnMut(Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.visit(&mut |packed| packed.iter().try_for_each(|packed| give(packed.entry())))
    }

    /// Counts the distinct requests of as many groups.
    ///
    /// # Errors
    /// When files can't be read or written.
    pub(crate) fn count(mut self, groups: usize) -> Result<Totals, Error> {
        let mut totals = Totals { groups: vec![Distinct::default(); groups], ..Totals::default() };
        self.visit(&mut |packed| {
            totals.add(packed);
            Ok(())
        })?;
        totals.repeated = self.repeated;
        Ok(totals)
    }

    /// Shows all entries in their order, each once, and those of a request together.
    fn visit(&mut self, show: Show<'_>) -> Result<(), Error> {
        self.compact();
        if self.has_files {
            self.write_out()?;
            self.packed = Vec::new();
            (0..1 << LEVEL_BITS).try_for_each(|part| self.visit_part(part, show))?;
        }
        show(&self.packed)
    }

    /// A part is put in order by a ledger of its own, which has room for it, or parts in turn.
    fn visit_part(&mut self, part: u32, show: Show<'_>) -> Result<(), Error> {
        let file = part_of(&self.folder, part);
        let folder = file.with_extension("parts");
        let mut ledger = Self::at_level(folder, self.level + 1, self.capacity);
        read_file(&file, |packed| ledger.add(packed.entry()))?;
        ledger.visit(show)?;
        self.repeated = self.repeated.or(ledger.repeated);
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), Error> {
        self.compact();
        if self.packed.len() <= self.capacity / 2 {
            return Ok(());
        }
        if self.level < MAX_LEVEL {
            return self.write_out();
        }
        // What is left agrees in all bits: one request of very many groups.
        self.capacity *= 2;
        Ok(())
    }

    /// Sorts, and makes one of what is there twice.
    fn compact(&mut self) {
        self.packed.sort_unstable_by_key(|packed| (packed.bits(), packed.mark));
        let repeated = &mut self.repeated;
        self.packed.dedup_by(|next, kept| {
            let same = next.request == kept.request && next.group() == kept.group();
            if same {
                kept.mark |= next.mark;
                *repeated = Some(kept.request);
            }
            same
        });
    }

    fn write_out(&mut self) -> Result<(), Error> {
        if !self.has_files {
            remove(&self.folder)?;
            fs::create_dir_all(&self.folder).map_err(Error::file(&self.folder))?;
            self.has_files = true;
        }
        let level = self.level;
        for run in self.packed.chunk_by(|one, next| one.part(level) == next.part(level)) {
            append(&part_of(&self.folder, run[0].part(level)), run)?;
        }
        self.packed.clear();
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.has_files && !self.keeps_files {
            // What stays behind is removed by the next run.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Totals {
    /// Adds requests that are sorted, each once in its group.
    fn add(&mut self, packed: &[Packed]) {
        for request in packed.chunk_by(|one, next| one.request == next.request) {
            self.whole.add(request.iter().any(Packed::differs));
            for entry in request {
                self.groups[entry.group() as usize].add(entry.differs());
            }
        }
    }
}

impl Distinct {
    fn add(&mut self, differs: bool) {
        self.requests += 1;
        self.mismatches += u64::from(differs);
    }
}

impl Packed {
    fn of(entry: Entry) -> Self {
        Self { request: entry.request, mark: entry.group << 1 | u32::from(entry.differs) }
    }

    fn entry(self) -> Entry {
        Entry { request: self.request, group: self.group(), differs: self.differs() }
    }

    fn group(&self) -> u32 {
        self.mark >> 1
    }

    fn differs(&self) -> bool {
        self.mark & 1 == 1
    }

    fn part(&self, level: u32) -> u32 {
        let above = self.bits() << (level * LEVEL_BITS);
        (above >> (128 - LEVEL_BITS)) as u32
    }

    fn bits(&self) -> u128 {
        u128::from_be_bytes(self.request.0)
    }
}

fn part_of(folder: &Path, part: u32) -> PathBuf {
    folder.join(format!("{part:02}"))
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(folder)(error)),
        _ => Ok(()),
    }
}

fn append(path: &Path, run: &[Packed]) -> Result<(), Error> {
    let file = File::options().create(true).append(true).open(path).map_err(Error::file(path))?;
    let before = file.metadata().map_err(Error::file(path))?.len();
    let written = write(&file, run);
    if written.is_err() {
        // Half an entry would make all that follow unreadable, once the disk takes more again.
        file.set_len(before).map_err(Error::file(path))?;
    }
    written.map_err(Error::file(path))
}

fn write(file: &File, run: &[Packed]) -> std::io::Result<()> {
    let mut writer = BufWriter::new(file);
    for packed in run {
        writer.write_all(&packed.request.0)?;
        writer.write_all(&packed.mark.to_le_bytes())?;
    }
    writer.flush()
}

/// Reads a file of entries; none where it isn't there.
fn read_file(path: &Path, mut give: impl FnMut(Packed) -> Result<(), Error>) -> Result<(), Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        file => file.map_err(Error::file(path))?,
    };
    let bytes = file.metadata().map_err(Error::file(path))?.len();
    if bytes % ENTRY_BYTES as u64 != 0 {
        let reason = std::io::Error::new(ErrorKind::UnexpectedEof, "the file ends within an entry");
        return Err(Error::file(path)(reason));
    }
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut entry = [0; ENTRY_BYTES];
    for _ in 0..bytes / ENTRY_BYTES as u64 {
        reader.read_exact(&mut entry).map_err(Error::file(path))?;
        let (request, mark) = entry.split_at(16);
        let request = Fingerprint(request.try_into().expect("an entry begins with 16 bytes"));
        let mark = u32::from_le_bytes(mark.try_into().expect("an entry ends with 4 bytes"));
        give(Packed { request, mark })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
