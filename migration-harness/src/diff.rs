//! `parity diff`: compares two sets of recorded answers, joined by id, without a call.

mod ahead;
mod join;
mod spill;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::compare::Case;
use crate::error::Error;
use crate::outcome::LimitArgs;
use crate::record::{Fingerprint, Numbered, Place, Reply, Source};
use crate::report::{self, Run};
use crate::rules::Rules;
use crate::tally::{Entry, Finding, Ledger, Tally};
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
    check_ids(ids, &args)?;
    let (verdict, mut report) = tally.sum_up(limits, run(&args, started_at), None)?;
    report.only_in_new = unknown[NEW].count;
    report::publish(&report, &args.out)?;
    tell_unknown(&unknown, &args);
    Ok(args.limits.exit_code(&verdict))
}

/// All sides are opened before the report of an earlier run is touched.
fn open(args: &DiffArgs) -> Result<[Option<Ahead>; SIDES], Error> {
    let side = |path: &Path| Ok(Ahead::of(Source::answers(path)?));
    let noise = args.noise.as_deref().map(side).transpose()?;
    Ok([Some(Ahead::of(Source::open(&args.old)?)), Some(side(&args.new)?), noise])
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
        let id = together.iter().flatten().next().map(|numbered| fingerprint(&numbered.record.id));
        if let Some(request) = id {
            self.ids.add(Entry { request, group: 0, differs: false })?;
        }
        let [old, new, noise] = together;
        if let Some(old) = old {
            let is_incomplete = |side: &Numbered| side.record.is_incomplete();
            if is_incomplete(&old) || new.as_ref().is_some_and(is_incomplete) {
                self.tally.add_incomplete(1);
                return Ok(());
            }
            return self.compare(&old, new, noise);
        }
        for (side, numbered) in [(NEW, new), (NOISE, noise)] {
            if let Some(numbered) = numbered {
                self.unknown[side].add(numbered);
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        Numbered { sequence, record, .. }: &Numbered,
        new: Option<Numbered>,
        noise: Option<Numbered>,
    ) -> Result<(), Error> {
        let new = new.map_or_else(|| unanswered(&record.reply), |new| new.record.reply);
        let noise = noise.map(|noise| noise.record.reply);
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
    fn add(&mut self, numbered: Numbered) {
        self.count += 1;
        if self.first.as_ref().is_none_or(|(sequence, ..)| numbered.sequence < *sequence) {
            self.first = Some((numbered.sequence, numbered.record.id, numbered.place));
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
fn check_ids(ids: Ledger, args: &DiffArgs) -> Result<(), Error> {
    let Some(repeated) = ids.count(1)?.repeated else { return Ok(()) };
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
