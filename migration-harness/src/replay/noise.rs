//! The legacy system's answers to being asked once more, read alongside the records.

use std::collections::BTreeMap;
use std::path::Path;

use super::answers::{Line, Lines};
use crate::error::Error;
use crate::record::{Numbered, Reply};

/// How many answers are kept while that of an earlier record is looked for.
const MOST_KEPT: usize = 100_000;
/// How much memory they may take.
const MOST_KEPT_BYTES: usize = 64 << 20;

/// Answers by record, in about the order of the records. Some may lack.
#[derive(Debug)]
pub(crate) struct Noise {
    lines: Lines,
    kept: BTreeMap<u64, Line>,
    kept_bytes: usize,
}

impl Noise {
    /// Opens a file of answers.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { lines: Lines::open(path)?, kept: BTreeMap::new(), kept_bytes: 0 })
    }

    /// The answer to a record, which stands behind all that were asked for before.
    ///
    /// # Errors
    /// When a line is no answer, or one to other records.
    pub(crate) fn of(&mut self, numbered: &Numbered) -> Result<Option<Reply>, Error> {
        let Numbered { sequence, record, .. } = numbered;
        self.forget_before(*sequence);
        while !self.kept.contains_key(sequence)
            && self.kept.len() < MOST_KEPT
            && self.kept_bytes < MOST_KEPT_BYTES
        {
            let Some(line) = self.lines.next() else { break };
            let line = line?;
            // Those of other shards would take the room.
            if line.sequence >= *sequence {
                self.keep(line);
            }
        }
        let Some(line) = self.kept.remove(sequence) else { return Ok(None) };
        self.kept_bytes -= size(&line);
        if line.id != record.id {
            let reason = format!(
                "answers `{}`, where the record is `{}`; `--noise` must come of a replay of the same records",
                line.id, record.id
            );
            return Err(Error::Record { place: line.place, reason });
        }
        Ok(Some(line.outcome.reply))
    }

    fn keep(&mut self, line: Line) {
        self.kept_bytes += size(&line);
        if let Some(old) = self.kept.insert(line.sequence, line) {
            self.kept_bytes -= size(&old);
        }
    }

    fn forget_before(&mut self, sequence: u64) {
        let later = self.kept.split_off(&sequence);
        let forgotten = std::mem::replace(&mut self.kept, later);
        self.kept_bytes -= forgotten.values().map(size).sum::<usize>();
    }
}

fn size(line: &Line) -> usize {
    size_of::<Line>() + line.id.len() + line.outcome.reply.body_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Place;
    use crate::tally::tests::record;

    #[test]
    fn answers_to_the_records_of_other_shards_do_not_hide_those_behind_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let wanted = MOST_KEPT as u64 + 5;
        let line = |sequence: u64| {
            format!(
                r#"{{"schema_version":1,"sequence":{sequence},"id":"a","captured_at":"1970-01-01T00:00:00Z","model":"m","response":null,"error":"x","latency_us":1,"sent_at":"1970-01-01T00:00:00Z","lateness_us":0}}"#
            ) + "\n"
        };
        std::fs::write(&path, (0..=wanted).map(line).collect::<String>()).unwrap();
        let place = Place { path: path.as_path().into(), line: 1 };
        let numbered = Numbered { sequence: wanted, place, record: record("a", "m", "c", "x") };
        assert!(Noise::open(&path).unwrap().of(&numbered).unwrap().is_some());
    }
}
