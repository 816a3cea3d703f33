//! Tells how far a replay has come: a bar on a terminal, else a line now and then.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::record::files;
use crate::shard::Shard;

/// How often the bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Longer lines, all in all, are not read once more just to count them.
const MAX_COUNTED_BYTES: u64 = 1 << 30;

/// What is counted for people, while it is counted for good elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Records that were compared.
    pub(crate) records: AtomicU64,
    /// Those that differ.
    pub(crate) mismatches: AtomicU64,
    /// Those that were compared before this run.
    pub(crate) before: AtomicU64,
    /// How many there are in all; 0 as long as that isn't known.
    total: AtomicU64,
}

impl Progress {
    /// Counts one record.
    pub(crate) fn add(&self, is_mismatch: bool) {
        self.records.fetch_add(1, Relaxed);
        self.mismatches.fetch_add(u64::from(is_mismatch), Relaxed);
    }

    /// Counts the records of a file or folder, or a shard's part of them, beforehand, where that takes
    /// next to nothing.
    pub(crate) fn count_beforehand(self: &Arc<Self>, path: &Path, shard: Option<Shard>) {
        let (progress, path) = (Arc::clone(self), path.to_owned());
        // Nobody waits for it.
        drop(tokio::task::spawn_blocking(move || {
            if let Some(records) = count(&path) {
                let total = shard.map_or(records, |shard| shard.share(records));
                progress.total.store(total, Relaxed);
            }
        }));
    }

    /// Tells until it is dropped.
    pub(crate) async fn tell(self: Arc<Self>) -> Infallible {
        let begun = Instant::now();
        if io::stderr().is_terminal() {
            return self.draw(begun).await;
        }
        loop {
            tokio::time::sleep(LINE_EVERY).await;
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{}", self.line(begun.elapsed()));
        }
    }

    async fn draw(&self, begun: Instant) -> Infallible {
        let bar = Bar(ProgressBar::new(0));
        bar.0.set_style(style(false));
        self.before_is_no_speed(&bar.0);
        let mut has_total = false;
        loop {
            let total = self.total.load(Relaxed);
            if total > 0 && !has_total {
                bar.0.set_style(style(true));
                bar.0.set_length(total);
                has_total = true;
            }
            bar.0.set_position(self.records.load(Relaxed));
            bar.0.set_message(format!(
                "{:.0}/s, {}",
                self.rate(begun.elapsed()),
                self.mismatches()
            ));
            tokio::time::sleep(BAR_EVERY).await;
        }
    }

    /// Records of an earlier run don't make this one look fast.
    fn before_is_no_speed(&self, bar: &ProgressBar) {
        bar.set_position(self.before.load(Relaxed));
        bar.reset_eta();
    }

    /// Calls a second of this run.
    fn rate(&self, elapsed: Duration) -> f64 {
        let here = self.records.load(Relaxed).saturating_sub(self.before.load(Relaxed));
        here as f64 / elapsed.as_secs_f64().max(1e-3)
    }

    fn mismatches(&self) -> String {
        format!("{} mismatches", HumanCount(self.mismatches.load(Relaxed)))
    }

    fn line(&self, elapsed: Duration) -> String {
        let (records, total) = (self.records.load(Relaxed), self.total.load(Relaxed));
        let (rate, mismatches) = (self.rate(elapsed), self.mismatches());
        let mut line = format!("replay: {}", HumanCount(records));
        if total > 0 {
            line += &format!(" of {}", HumanCount(total));
        }
        line += &format!(" records, {rate:.0}/s, {mismatches}");
        if total > records && rate > 0.0 {
            let left = Duration::from_secs_f64((total - records) as f64 / rate);
            line += &format!(", {} left", HumanDuration(left));
        }
        line
    }
}

/// A bar that leaves the terminal when it is dropped.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(has_total: bool) -> ProgressStyle {
    let template = if has_total {
        "{wide_bar} {human_pos} of {human_len}, {msg}, {eta} left"
    } else {
        "{spinner} {human_pos} records, {msg}"
    };
    ProgressStyle::with_template(template).expect("the template names what there is")
}

/// The lines or rows of all files, where they can be counted without much work.
fn count(path: &Path) -> Option<u64> {
    let (mut records, mut left) = (0, MAX_COUNTED_BYTES);
    for file in files(path).ok()? {
        records += count_file(&file, &mut left).ok()??;
    }
    Some(records)
}

fn count_file(path: &Path, left: &mut u64) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut magic = [0; 4];
    if metadata.len() == 0 {
        return Ok(Some(0));
    }
    if !metadata.is_file() || file.read(&mut magic)? == 0 || magic.starts_with(b"\x1f\x8b") {
        return Ok(None);
    }
    if &magic == b"PAR1" {
        let reader = SerializedFileReader::new(file).ok();
        return Ok(reader.and_then(|r| r.metadata().file_metadata().num_rows().try_into().ok()));
    }
    let Some(rest) = left.checked_sub(metadata.len()) else { return Ok(None) };
    *left = rest;
    file.rewind()?;
    let (mut lines, mut chunk) = (0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Some(lines)),
            read => lines += chunk[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_folder_are_counted_unless_some_are_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        write("a.jsonl", b"{}\n{}\n{}\n");
        write("b.jsonl", b"{\"n\": 1}\n");
        write("c.jsonl", b"");
        assert_eq!(count(folder.path()), Some(4));
        write("d.jsonl.gz", b"\x1f\x8b");
        assert_eq!(count(folder.path()), None);
    }
}
