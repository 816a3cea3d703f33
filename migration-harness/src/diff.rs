//! `parity diff`: compares two sets of recorded answers, joined by id, without a call.

mod ahead;
mod join;
mod spill;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

use jiff::Timestamp;

use crate::compare::Case;
use crate::error::Error;
use crate::outcome::LimitArgs;
use crate::record::{Fingerprint, Numbered, Place, Reply, Row, Source};
use crate::report::{self, Run};
use crate::rules::Rules;
use crate::tally::{Call, Entry, Finding, Ledger, Tally, Totals};
use crate::verdict;

use ahead::Ahead;
use join::{Join, SIDES, Together};
use spill::Spill;

/// The numbers of the sides beside the old one, which is the first.
const NEW: usize = 1;
const NOISE: usize = 2;
/// Why a record of the old side has no answer of the new one.
const UNANSWERED: &str = "unanswered by the new side";

/// What to compare, and what has to be shown.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The captured calls.
    #[arg(long, value_name = "PATH")]
    old: PathBuf,
    /// The answers to compare with them: records, or the `answers.jsonl` of a replay.
    #[arg(long, value_name = "PATH")]
    new: PathBuf,
    /// What the old system answered when it was asked once more, in the same forms: what differs
    /// there already is permitted to differ.
    #[arg(long, value_name = "PATH")]
    noise: Option<PathBuf>,
    /// Tolerances and renamed fields.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The folder for the report, `verdict.json` first of all.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many megabytes of records may wait in memory for their partners, where the sides are
    /// not in one order; the rest waits in files in DIR.
    #[arg(long, value_name = "MB", default_value_t = 64)]
    memory: usize,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Compares all pairs, writes the report, prints a summary and returns the exit code.
pub(crate) async fn diff(args: DiffArgs) -> Result<u8, Error> {
    let limits = args.limits.limits()?;
    let rules = Rules::read(args.rules.as_deref())?;
    let started_at = Timestamp::now();
    let sides = open(&args)?;
    verdict::prepare(&args.out).await?;
    let mut comparison = Comparison::new(&rules, &args.out);
    let memory = args.memory.saturating_mul(1 << 20);
    let join = Join::new(sides, Spill::new(args.out.join("parity-waiting"))?, memory);
    join.each(&mut |together| comparison.add(together))?;
    rules.check_all_were_met()?;
    let Comparison { tally, ids, unknown, .. } = comparison;
    // Both sort what they have.
    let (ids, summed_up) = thread::scope(|scope| {
        let ids = scope.spawn(|| ids.count(1));
        let summed_up = tally.sum_up(limits, run(&args, started_at), None);
        (ids.join(), summed_up)
    });
    check_ids(&ids.map_err(|_| Error::Panicked("the thread that counts ids"))??, &args)?;
    let (verdict, mut report) = summed_up?;
    report.only_in_new = unknown[NEW].count;
    report::publish(&report, &args.out)?;
    tell_unknown(&unknown, &args);
    Ok(args.limits.exit_code(&verdict))
}

/// All sides are opened before the report of an earlier run is touched.
fn open(args: &DiffArgs) -> Result<[Option<Ahead>; SIDES], Error> {
    let side = |path: &Path| Ok(Ahead::of(Source::answers(path)?.rows()));
    let noise = args.noise.as_deref().map(side).transpose()?;
    Ok([Some(Ahead::of(Source::open(&args.old)?.rows())), Some(side(&args.new)?), noise])
}

fn run(args: &DiffArgs, started_at: Timestamp) -> Run {
    let text = |path: &PathBuf| path.display().to_string();
    Run {
        command: "diff".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        records: text(&args.old),
        target: text(&args.new),
        rules: args.rules.as_ref().map(text),
        noise: args.noise.as_ref().map(text),
        shard: None,
        started_at,
        finished_at: Timestamp::now(),
        resumed: 0,
    }
}

/// What the pairs show so far.
struct Comparison<'a> {
    rules: &'a Rules,
    tally: Tally,
    /// Each id once, if ids are unique.
    ids: Ledger,
    /// Records of each side that the old one lacks.
    unknown: [Unknown; SIDES],
}

/// Records whose id the old side lacks.
#[derive(Default)]
struct Unknown {
    count: u64,
    first: Option<(u64, String, Place)>,
}

impl<'a> Comparison<'a> {
    fn new(rules: &'a Rules, out: &Path) -> Self {
        let ids = Ledger::new(out.join("parity-ids"));
        Self { rules, tally: Tally::new(out), ids, unknown: Default::default() }
    }

    fn add(&mut self, together: Together) -> Result<(), Error> {
        let id = together.iter().flatten().next().map(|row| fingerprint(row.id()));
        if let Some(request) = id {
            self.ids.add(Entry { request, group: 0, differs: false })?;
        }
        let [old, new, noise] = together;
        if let Some(old) = old {
            if old.is_incomplete() || new.as_ref().is_some_and(Row::is_incomplete) {
                self.tally.add_incomplete(1);
                return Ok(());
            }
            if let Some(new) = &new
                && self.add_equal(&old, new)?
            {
                return Ok(());
            }
            return self.compare(old, new, noise);
        }
        for (side, row) in [(NEW, new), (NOISE, noise)] {
            if let Some(row) = row {
                self.unknown[side].add(&row);
            }
        }
        Ok(())
    }

    /// Counts a pair whose answers are equal, where that is all to be known of it.
    fn add_equal(&mut self, old: &Row, new: &Row) -> Result<bool, Error> {
        let are_equal = old.answered().is_some_and(|answer| new.answered() == Some(answer));
        if !are_equal || !self.rules.pass_equal_answers() {
            return Ok(false);
        }
        self.tally.add_equal(Call {
            sequence: old.sequence(),
            id: old.id(),
            model: old.model(),
            client: old.client(),
            request: old.request(),
            is_evidence: !old.is_chosen(),
        })
    }

    fn compare(&mut self, old: Row, new: Option<Row>, noise: Option<Row>) -> Result<(), Error> {
        let Numbered { sequence, record, .. } = &*old.numbered()?;
        let new = new.map(Row::reply).transpose()?;
        let new = new.unwrap_or_else(|| unanswered(&record.reply));
        let noise = noise.map(Row::reply).transpose()?;
        let (model, client) = (record.model.as_str(), record.client.as_deref());
        let case = Case { model, client, old: &record.reply, new: &new, noise: noise.as_ref() };
        let differences = case.differences(self.rules);
        self.tally.add(&Finding { sequence: *sequence, record, new: &new, differences })
    }
}

/// What stands for the answer that the new side lacks: a mismatch, unless the old side has none
/// either.
fn unanswered(old: &Reply) -> Reply {
    let reason = old.answer.as_ref().err();
    let reason = reason.cloned().unwrap_or_else(|| UNANSWERED.to_owned());
    Reply { answer: Err(reason), latency_us: None }
}

impl Unknown {
    fn add(&mut self, row: &Row) {
        self.count += 1;
        if self.first.as_ref().is_none_or(|(sequence, ..)| row.sequence() < *sequence) {
            self.first = Some((row.sequence(), row.id().to_owned(), row.place()));
        }
    }
}

fn tell_unknown(unknown: &[Unknown; SIDES], args: &DiffArgs) {
    for Unknown { count, first } in unknown {
        let Some((_, id, place)) = first else { continue };
        let which = match count {
            1 => format!("`{id}` is"),
            count => format!("`{id}` and {} more are", count - 1),
        };
        // The report is written; a closed terminal takes nothing from it.
        let _ = writeln!(
            io::stderr(),
            "error: {place}: {which} not in `{}`, so nothing was compared with that",
            args.old.display()
        );
    }
}

/// Hashes an id so that two never meet by accident.
fn fingerprint(id: &str) -> Fingerprint {
    let mut halves = [0; 16];
    for (number, half) in halves.chunks_exact_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (number, id).hash(&mut hasher);
        half.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    Fingerprint(halves)
}

/// Refuses ids that a side has twice: the pairs of such records would be accidents.
fn check_ids(ids: &Totals, args: &DiffArgs) -> Result<(), Error> {
    let Some(repeated) = ids.repeated else { return Ok(()) };
    let sides = [Some(&args.old), Some(&args.new), args.noise.as_ref()];
    for path in sides.into_iter().flatten() {
        let mut first: Option<Numbered> = None;
        for numbered in Source::answers(path)? {
            let numbered = numbered?;
            if fingerprint(&numbered.record.id) != repeated {
                continue;
            }
            match &first {
                Some(first) => return Err(join::duplicate(first, &numbered)),
                None => first = Some(numbered),
            }
        }
    }
    Err(Error::Usage("records changed while they were compared; run it again".to_owned()))
}
