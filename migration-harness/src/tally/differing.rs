//! `mismatches.jsonl`: which records differ, for programs that look for them, `select --past` above
//! all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The file in the folder of a report.
pub(crate) const FILE: &str = "mismatches.jsonl";
/// How many records are named: the first, in the order of the records.
const MAX_RECORDS: usize = 50_000;
/// How long an id may be; records with longer ones are not named.
const MAX_ID_BYTES: usize = 256;

/// The ids of records that differ, by how many records stand before each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Differing(BTreeMap<u64, String>);

#[derive(Serialize, Deserialize)]
struct Line {
    sequence: u64,
    id: String,
}

impl Differing {
    /// Adds a record.
    pub(crate) fn add(&mut self, sequence: u64, id: &str) {
        let is_behind = self.0.last_key_value().is_some_and(|(last, _)| sequence > *last);
        if id.len() > MAX_ID_BYTES || (is_behind && self.0.len() >= MAX_RECORDS) {
            return;
        }
        self.0.insert(sequence, id.to_owned());
        if self.0.len() > MAX_RECORDS {
            self.0.pop_last();
        }
    }

    /// Adds those of another run.
    pub(crate) fn add_all(&mut self, other: Self) {
        other.0.into_iter().for_each(|(sequence, id)| self.add(sequence, &id));
    }

    /// The ids.
    pub(crate) fn into_ids(self) -> impl Iterator<Item = String> {
        self.0.into_values()
    }

    /// Writes the file into the folder, whole or not at all.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let partial = folder.join(".mismatches.jsonl.partial");
        self.write_lines(&partial).map_err(Error::file(&partial))?;
        let path = folder.join(FILE);
        fs::rename(&partial, &path).map_err(Error::file(&path))
    }

    fn write_lines(&self, path: &Path) -> io::Result<()> {
        let mut writer = BufWriter::new(File::create(path)?);
        for (sequence, id) in &self.0 {
            let line = Line { sequence: *sequence, id: id.clone() };
            serde_json::to_writer(&mut writer, &line)?;
            writer.write_all(b"\n")?;
        }
        writer.flush()
    }

    /// Reads the file in the folder; none differ where it isn't there, as beside older reports.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            file => file.and_then(read_lines).map_err(Error::file(&path)),
        }
    }
}

fn read_lines(file: File) -> io::Result<Differing> {
    let mut differing = Differing::default();
    for line in BufReader::new(file).lines() {
        let Line { sequence, id } = serde_json::from_str(&line?)?;
        differing.add(sequence, &id);
    }
    Ok(differing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_records_are_named_whatever_the_order_in_which_they_come() {
        let [mut forwards, mut backwards] = [Differing::default(), Differing::default()];
        let all = 0..MAX_RECORDS as u64 + 10;
        all.clone().for_each(|sequence| forwards.add(sequence, &sequence.to_string()));
        all.rev().for_each(|sequence| backwards.add(sequence, &sequence.to_string()));
        assert_eq!(forwards, backwards);
        assert_eq!((forwards.0.len(), &forwards.0[&7]), (MAX_RECORDS, &"7".to_owned()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Differing::read(folder.path()).unwrap(), Differing::default());
        let mut differing = Differing::default();
        differing.add(7, "a \"\n\u{2028}");
        differing.add(9, &"x".repeat(MAX_ID_BYTES + 1));
        differing.write(folder.path()).unwrap();
        assert_eq!(differing.0.len(), 1);
        assert_eq!(Differing::read(folder.path()).unwrap(), differing);
    }
}
