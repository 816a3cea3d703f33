//! `parity merge`: sums the shards of a run up to one verdict, and refuses an incomplete set.

mod timing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::outcome::LimitArgs;
use crate::report::{self, Run};
use crate::rules;
use crate::shard::{Finished, Manifest};
use crate::tally::Tally;
use crate::verdict;

pub(crate) use timing::one_after_the_other;

/// Which shards to sum up, and what has to be shown.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// The folders of all shards.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The folder for the report on all of them.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Sums the shards up, writes the report, prints a summary and returns the exit code.
pub(crate) async fn merge(args: MergeArgs) -> Result<u8, Error> {
    let limits = args.limits.limits()?;
    let shards = read(&args.folders)?;
    if args.folders.iter().any(|folder| is_same(folder, &args.out)) {
        let reason = format!("`--out {}` is a shard's own folder", args.out.display());
        return Err(Error::Usage(reason));
    }
    let unmet: Vec<_> = shards.iter().filter_map(|it| it.finished.unmet.as_deref()).collect();
    rules::check(&rules::unmet_by_all(&unmet))?;
    verdict::prepare(&args.out).await?;
    let mut tally = Tally::new(&args.out);
    for shard in &shards {
        tally.absorb(shard.folder)?;
    }
    let timings: Vec<_> =
        shards.iter().filter_map(|shard| shard.finished.timing.as_ref()).collect();
    let (verdict, report) = tally.sum_up(limits, run(&shards), timing::merged(&timings))?;
    report::publish(&report, &args.out)?;
    Ok(args.limits.exit_code(&verdict))
}

/// Whether two paths lead to one folder, which may not be there yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    place(one) == place(other)
}

/// A shard that is done.
struct Done<'a> {
    folder: &'a Path,
    manifest: Manifest,
    finished: Finished,
}

/// The shards of one run, in their order.
fn read(folders: &[PathBuf]) -> Result<Vec<Done<'_>>, Error> {
    let mut shards: BTreeMap<u64, Done<'_>> = BTreeMap::new();
    for folder in folders {
        let done = done(folder)?;
        if let Some(reason) = shards.values().next().and_then(|first| difference(first, &done)) {
            return Err(Error::Usage(reason));
        }
        let shard = done.manifest.shard;
        if let Some(other) = shards.insert(shard.index(), done) {
            let (one, two) = (other.folder.display(), folder.display());
            return Err(Error::Usage(format!("`{one}` and `{two}` are both shard {shard}")));
        }
    }
    let count = shards.values().next().map_or(0, |done| done.manifest.shard.count());
    let number = count - shards.len() as u64;
    if number > 0 {
        let missing = (0..count).filter(|index| !shards.contains_key(index)).take(20);
        let some: Vec<_> = missing.map(|index| format!("{index}/{count}")).collect();
        let some = some.join(", ");
        return Err(Error::Usage(format!("{number} of {count} shards are missing: {some}")));
    }
    Ok(shards.into_values().collect())
}

fn done(folder: &Path) -> Result<Done<'_>, Error> {
    let manifest = Manifest::read(folder)?;
    let unfinished = || {
        let (folder, shard) = (folder.display(), manifest.shard);
        Error::Usage(format!("`{folder}`: shard {shard} is not finished; run it to its end"))
    };
    let finished = manifest.finished.clone().ok_or_else(unfinished)?;
    Ok(Done { folder, manifest, finished })
}

/// Why two shards aren't of one run, if they aren't.
fn difference(one: &Done<'_>, two: &Done<'_>) -> Option<String> {
    let name = |what: &str, value: &dyn Fn(&Done<'_>) -> String| {
        let (first, second) = (value(one), value(two));
        let (folder, other) = (two.folder.display(), one.folder.display());
        (first != second)
            .then(|| format!("`{folder}` is of other {what} than `{other}`: {second}, not {first}"))
    };
    let records = |done: &Done<'_>| {
        let seen = &done.finished.records;
        format!("{} with the digest {}", seen.count, seen.digest)
    };
    let named = |digest: Option<&String>| digest.cloned().unwrap_or_else(|| "none".to_owned());
    name("versions of this program", &|done| done.manifest.version.clone())
        .or_else(|| name("numbers of shards", &|done| done.manifest.shard.count().to_string()))
        .or_else(|| name("records", &records))
        .or_else(|| name("rules", &|done| named(done.manifest.rules.as_ref())))
        .or_else(|| name("noise", &|done| named(done.manifest.noise.as_ref())))
        .or_else(|| name("request headers", &|done| done.manifest.headers.join(", ")))
        .or_else(|| name("targets", &|done| done.manifest.target.clone()))
}

fn run(shards: &[Done<'_>]) -> Run {
    let runs = || shards.iter().map(|shard| &shard.finished.run);
    let first = runs().next().expect("a set of shards is never empty");
    Run {
        command: "merge".to_owned(),
        shard: None,
        started_at: runs().map(|run| run.started_at).min().unwrap_or(first.started_at),
        finished_at: runs().map(|run| run.finished_at).max().unwrap_or(first.finished_at),
        resumed: runs().map(|run| run.resumed).sum(),
        ..first.clone()
    }
}
