//! Records that wait in files for their partners, divided by their ids.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Error;
use crate::record::{Numbered, Place, Source, line};

/// Into how many files each side is divided.
const PARTS: u64 = 32;
/// The field that holds where a record stood.
const STOOD: &str = "parity_diff_stood";

/// The records of a part, and their sides.
pub(super) type Part<'a> = dyn Iterator<Item = Result<(usize, Numbered), Error>> + 'a;

/// What takes a part.
pub(super) type Give<'a> = dyn FnMut(&mut Part<'_>) -> Result<(), Error> + 'a;

/// Files of records, for each side and part.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    level: u32,
    writers: HashMap<(usize, u64), BufWriter<File>>,
}

impl Spill {
    /// No files yet; those of an interrupted run are removed.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub(super) fn new(folder: PathBuf) -> Result<Self, Error> {
        Self::at_level(folder, 0)
    }

    fn at_level(folder: PathBuf, level: u32) -> Result<Self, Error> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(&folder)(error)),
            _ => Ok(Self { folder, level, writers: HashMap::new() }),
        }
    }

    /// Whether records of the side wait here.
    pub(super) fn holds(&self, side: usize) -> bool {
        self.writers.keys().any(|(known, _)| *known == side)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn add(&mut self, side: usize, numbered: &Numbered) -> Result<(), Error> {
        let part = self.part_of(&numbered.record.id);
        let path = self.path(side, part);
        if !self.writers.contains_key(&(side, part)) {
            fs::create_dir_all(&self.folder).map_err(Error::file(&self.folder))?;
            let file = File::create(&path).map_err(Error::file(&path))?;
            self.writers.insert((side, part), BufWriter::new(file));
        }
        let mut form = line::value(&numbered.record);
        let Place { path: stood, line } = &numbered.place;
        form[STOOD] = json!([numbered.sequence, stood.to_string_lossy(), line]);
        let writer = self.writers.get_mut(&(side, part)).expect("it was inserted above");
        writeln!(writer, "{form}").map_err(Error::file(&path))
    }

    /// Gives the records of as many sides, part by part. A part that has more than `bytes` is
    /// divided once more.
    ///
    /// # Errors
    /// When files can't be read or written, or `give` says so.
    pub(super) fn each_part(
        mut self,
        (sides, bytes): (usize, u64),
        give: &mut Give<'_>,
    ) -> Result<(), Error> {
        for (key, mut writer) in self.writers.drain() {
            writer.flush().map_err(Error::file(&self.folder.join(name(key.0, key.1))))?;
        }
        for part in 0..PARTS {
            let files: Vec<_> = (0..sides).map(|side| (side, self.path(side, part))).collect();
            let all: u64 =
                files.iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len())).sum();
            let files = files.iter().filter(|(_, path)| path.exists());
            let mut records = files.flat_map(|(side, path)| records(*side, path));
            // A hash has bits for twelve levels.
            if all <= bytes || self.level >= 12 {
                give(&mut records)?;
                continue;
            }
            let mut finer = Self::at_level(self.folder.join(part.to_string()), self.level + 1)?;
            for record in records {
                let (side, numbered) = record?;
                finer.add(side, &numbered)?;
            }
            finer.each_part((sides, bytes), give)?;
        }
        Ok(())
    }

    fn part_of(&self, id: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish() / PARTS.pow(self.level) % PARTS
    }

    fn path(&self, side: usize, part: u64) -> PathBuf {
        self.folder.join(name(side, part))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // What stays behind is removed by the next run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn name(side: usize, part: u64) -> String {
    format!("side-{side}-{part:02}.jsonl")
}

fn records(
    side: usize,
    path: &Path,
) -> impl Iterator<Item = Result<(usize, Numbered), Error>> + use<> {
    let (source, failure) = match Source::open(path) {
        Ok(source) => (Some(source), None),
        Err(error) => (None, Some(Err(error))),
    };
    let records = source.into_iter().flatten().map(move |numbered| Ok((side, restored(numbered?))));
    failure.into_iter().chain(records)
}

/// The record as it was before it was written.
fn restored(mut numbered: Numbered) -> Numbered {
    let stood = numbered.record.unknown.remove(STOOD);
    let stood = stood.and_then(|stood| serde_json::from_value::<(u64, PathBuf, u64)>(stood).ok());
    if let Some((sequence, path, line)) = stood {
        numbered.sequence = sequence;
        numbered.place = Place { path: path.into(), line };
    }
    numbered
}
