//! `parity select`: out of a large capture, a small set of records that covers what it holds, and
//! beside it a random part that alone counts for the bound.

mod random;
mod decision;
mod cover;
mod past;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::record::{CHOSEN, Fingerprint, Numbered, PART, Record, Sink, Source};
use cover::Cover;
use past::Past;
use random::Draw;

/// What to select from, and how much of it.
#[derive(Debug, clap::Args)]
pub struct SelectArgs {
    /// The captured calls: a file, or a folder of files.
    #[arg(long, value_name = "PATH")]
    records: PathBuf,
    /// The folder for `cover.jsonl`, `random.jsonl` and `suite.audit.json`; `replay --records` takes
    /// it as it is.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many records the covering part may hold, beside past mismatches and close decisions.
    #[arg(long, value_name = "N", default_value_t = 500)]
    cover: usize,
    /// How many distinct requests are drawn at random; 2,995 without a mismatch leave a rate of
    /// 0.001 possible.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    random: usize,
    /// How many calls of each model, those with the two best scores closest together, belong to
    /// the covering part.
    #[arg(long, value_name = "N", default_value_t = 10)]
    closest: usize,
    /// Which of the possible random parts is drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The folder of an earlier report, whose mismatches belong to the covering part; may be
    /// repeated.
    #[arg(long, value_name = "DIR")]
    past: Vec<PathBuf>,
    /// How many of these mismatches the covering part may hold, beside the twenty that a report
    /// shows of each cluster.
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "past")]
    past_limit: usize,
}

/// What was selected, as `suite.audit.json` says it.
#[derive(Debug, Serialize)]
struct Selection {
    /// Records that were looked at.
    records: u64,
    /// Those without an answer, which nothing can be compared with.
    without_answer: u64,
    /// The covering part.
    cover: cover::Summary,
    /// How many distinct requests the random part holds.
    random: usize,
    /// The random part's seed.
    seed: u64,
    /// Mismatches of earlier reports, and how many of them were selected.
    past: past::Summary,
}

/// Selects, writes both parts and says what they hold.
pub(crate) fn select(args: &SelectArgs) -> Result<u8, Error> {
    let mut past = Past::read(&args.past, args.past_limit)?;
    let mut cover = Cover::new(args.closest);
    let mut draw = Draw::new(args.seed, args.random);
    let (mut records, mut without_answer) = (0, 0);
    for numbered in Source::open(&args.records)? {
        let Numbered { sequence, record, .. } = numbered?;
        records += 1;
        if record.reply.answer.is_err() || record.is_incomplete() {
            without_answer += 1;
            continue;
        }
        cover.add(sequence, &record, past.takes(&record.id));
        draw.add(Fingerprint::of(&record.model, &record.request), record);
    }
    let (mut chosen, mut summary) = cover.choose(args.cover);
    // A record that was drawn as well is in the suite once, where the bound counts on it.
    let drawn = draw.ids();
    chosen.retain(|record| !drawn.contains(record.id.as_str()));
    summary.records = chosen.len();
    let selection = Selection {
        records,
        without_answer,
        cover: summary,
        random: draw.len(),
        seed: args.seed,
        past: past.summary(),
    };
    std::fs::create_dir_all(&args.out).map_err(Error::file(&args.out))?;
    write_part(&args.out.join("cover.jsonl"), chosen.into_iter().map(marked))?;
    write_part(&args.out.join("random.jsonl"), draw.records())?;
    write_selection(&args.out.join("suite.audit.json"), &selection)?;
    // The parts are written; a closed terminal takes nothing from them.
    let _ = io::stdout().write_all(sentence(&selection).as_bytes());
    Ok(0)
}

/// The record, marked as chosen: it was not drawn at random, so the bound must not count on it.
fn marked(mut record: Record) -> Record {
    record.unknown.insert(PART.to_owned(), Value::from(CHOSEN));
    record
}

fn write_part(path: &Path, records: impl Iterator<Item = Record>) -> Result<(), Error> {
    let mut sink = Sink::create(path)?;
    for record in records {
        sink.write(&record)?;
    }
    sink.finish()
}

fn write_selection(path: &Path, selection: &Selection) -> Result<(), Error> {
    let mut text =
        serde_json::to_vec_pretty(selection).expect("a selection holds nothing JSON lacks");
    text.push(b'\n');
    std::fs::write(path, text).map_err(Error::file(path))
}

fn sentence(selection: &Selection) -> String {
    let Selection { records, without_answer, cover, random, past, .. } = selection;
    let mut text = format!(
        "{} records cover {} of {} traits; {random} distinct requests are drawn at random, of \
         {records} records\n",
        cover.records, cover.covered, cover.traits
    );
    if *without_answer > 0 {
        text.push_str(&format!("{without_answer} records without an answer are left out\n"));
    }
    if past.mismatches > 0 {
        let past::Summary { mismatches, found, selected } = past;
        text.push_str(&format!("{selected} of {mismatches} past mismatches are among them\n"));
        if found > selected {
            let more = found - selected;
            text.push_str(&format!("`--past-limit` leaves out {more} that these records hold\n"));
        }
    }
    text
}
