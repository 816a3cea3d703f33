//! `parity replay`: sends captured requests to a target, compares the answers, and writes the
//! report.
//!
//! It may be interrupted at any moment: the same command takes it up again, and every record
//! counts once.

mod plan;
mod checkpoint;
mod part;
mod recall;
mod noise;
mod feed;
mod pace;
mod engine;
mod judge;
mod answers;
mod timing;
mod progress;
mod rerun;

use std::convert::Infallible;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;

pub(crate) use answers::Outcome;
pub(crate) use plan::Plan;
pub use plan::SendingArgs;
pub(crate) use timing::Times;

use crate::error::Error;
use crate::outcome::{LimitArgs, Limits};
use crate::report::{self, Run};
use crate::shard::{self, Finished, Manifest, ShardArgs};
use crate::tally::Tally;
use crate::verdict::{self, Verdict};
use checkpoint::Folder;
use engine::Bench;
use feed::Feed;
use judge::Judge;
use pace::OddGaps;
use progress::Progress;
use recall::{Captured, Recall};

/// What to replay, where to, and what has to be shown.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The captured calls: JSON lines, also compressed by gzip, Parquet, or a folder of these.
    #[arg(long, value_name = "PATH", required_unless_present = "only")]
    records: Option<PathBuf>,
    /// Where to send them: `http://…`, `https://…` or `sagemaker:NAME`, which may hold `{model}` and
    /// `{client}`. A URL with a path is used as it is, else the record's path is appended. A router's
    /// `/v1/moderate` gets the key in GATEHOUSE_KEY.
    #[arg(long, value_name = "TARGET", required_unless_present = "only")]
    target: Option<String>,
    /// The folder for the report, `verdict.json` first of all, and for `answers.jsonl`. A replay that
    /// was interrupted there is taken up again; one that has finished is replaced. `{shard}` in it
    /// stands for the number of the shard.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    sending: SendingArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Stops as soon as the outcome is known, by a sequential test of the distinct requests.
    #[arg(long, conflicts_with_all = ["shard", "shards"])]
    sequential: bool,
    #[command(flatten)]
    shard: ShardArgs,
    /// What may differ, and fields with other names: a TOML file (docs/parity-rules.md).
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The `answers.jsonl` of a replay of the same records against the legacy system itself: what
    /// differs there is no fault of the target. `{shard}` in it stands for the number of the shard.
    #[arg(long, value_name = "FILE")]
    noise: Option<PathBuf>,
    /// Gives up an unfinished replay of something else in DIR.
    #[arg(long)]
    fresh: bool,
    /// Sends again what differed in the finished replay in DIR, and tells what differs every time
    /// from what does now and then. Exit code 0 if nothing differs any more, else 1.
    #[arg(long, value_enum, value_name = "WHICH")]
    only: Option<Only>,
    /// How often each of those is sent.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "only",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: u32,
    /// Shows no progress.
    #[arg(long)]
    quiet: bool,
}

/// Which records of a finished replay are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Only {
    /// Those with a difference that nothing permits.
    Mismatches,
}

/// Replays every record, writes the report, prints a summary and returns the exit code.
pub(crate) async fn replay(mut args: ReplayArgs) -> Result<u8, Error> {
    let shard = args.shard.shard(|name| std::env::var(name).ok())?;
    let noise = args.noise.clone();
    if let Some(shard) = shard {
        args.out = shard.fill_in(&args.out);
        args.noise = args.noise.map(|noise| shard.fill_in(&noise));
    }
    if args.only.is_some() {
        return rerun::rerun(&args).await;
    }
    let limits = args.limits.limits()?;
    let mut plan = Plan::of(&args, None).await?;
    plan.divide(shard);
    let recall = plan.reading()?;
    let incomplete = recall.incomplete();
    let folder = Folder::open(&args.out, plan.parameters.clone(), args.fresh)?;
    verdict::prepare(&args.out).await?;
    let manifest = manifest(&args, noise.as_deref(), &plan, limits)?;
    if let Some(manifest) = &manifest {
        manifest.begin(&args.out)?;
    }
    let recall = Recall::new(recall, folder.answers()?);
    let (mut tally, times) = replay_all(&args, &plan, &folder, recall).await?;
    tally.add_incomplete(incomplete.load(Relaxed));
    let run = run(&args, &folder);
    let verdict =
        conclude(Ending { args: &args, plan: &plan, run, manifest }, limits, tally, &times)?;
    folder.finish()?;
    Ok(match shard {
        Some(_) => args.limits.exit_code_of_shard(&verdict),
        None => args.limits.exit_code(&verdict),
    })
}

/// What a shard leaves for `merge`; none where the run isn't divided. `noise` is as all shards give
/// it.
fn manifest(
    args: &ReplayArgs,
    noise: Option<&Path>,
    plan: &Plan,
    limits: Limits,
) -> Result<Option<Manifest>, Error> {
    let Some(shard) = plan.parameters.shard else { return Ok(None) };
    Ok(Some(Manifest {
        shard,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        target: plan.parameters.target.clone(),
        rules: shard::digest(args.rules.as_deref())?,
        noise: shard::identity(noise)?,
        headers: plan.parameters.headers.clone(),
        limits,
        finished: None,
    }))
}

/// Counts what was answered before, then makes the other calls.
async fn replay_all(
    args: &ReplayArgs,
    plan: &Plan,
    folder: &Folder,
    recall: Recall,
) -> Result<(Tally, Times), Error> {
    let progress = Arc::new(Progress::default());
    if !args.quiet {
        progress.count_beforehand(&plan.parameters.records.path, plan.parameters.shard);
    }
    let (rules, times) = (Arc::clone(&plan.rules), Times::new(folder.runs()));
    let tally = tally(args)?;
    let judge = Judge::new(tally, rules, times, Arc::clone(&progress), folder.log()?);
    let judge = judge.partial(plan.part.is_some());
    let counting = tokio::task::spawn_blocking(|| count_answered(judge, recall));
    let (judge, rest) = counting.await.map_err(|_| Error::Panicked("the comparison"))??;
    let before = progress.records.load(Relaxed);
    progress.before.store(before, Relaxed);
    if before > 0 && !args.quiet {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr(), "replay: goes on after {before} answers");
    }
    let judge = if judge.is_done() { judge } else { call_rest(args, plan, judge, rest).await? };
    let ending = tokio::task::spawn_blocking(|| judge.end());
    ending.await.map_err(|_| Error::Panicked("the end of the comparison"))?
}

/// Makes the calls that were not answered before.
async fn call_rest(
    args: &ReplayArgs,
    plan: &Plan,
    judge: Judge,
    rest: impl Iterator<Item = Result<Captured, Error>> + Send + 'static,
) -> Result<Judge, Error> {
    let progress = judge.progress();
    let feed = Feed::start(rest, Arc::clone(&plan.target), plan.pace);
    let running = engine::run(feed, Arc::clone(&plan.caller), plan.concurrency, judge);
    let (judge, odd_gaps) = told(running, progress, args.quiet).await?;
    odd_gaps.tell();
    Ok(judge)
}

fn count_answered(
    mut judge: Judge,
    mut recall: Recall,
) -> Result<(Judge, impl Iterator<Item = Result<Captured, Error>> + Send), Error> {
    for answered in &mut recall {
        let (captured, outcome) = answered?;
        judge.count(&captured, &outcome)?;
    }
    Ok((judge, recall.unanswered()))
}

/// Shows how far the work has come until it is done.
async fn told<T>(work: impl Future<Output = T>, progress: Arc<Progress>, quiet: bool) -> T {
    let work = pin!(work);
    if quiet {
        return work.await;
    }
    let told: Result<T, Infallible> = tokio::select! {
        done = work => Ok(done),
        never = progress.tell() => Err(never),
    };
    let Ok(done) = told;
    done
}

/// What the end of a replay needs to know of it.
struct Ending<'a> {
    args: &'a ReplayArgs,
    plan: &'a Plan,
    run: Run,
    manifest: Option<Manifest>,
}

/// Leaves what `merge` needs, where the run is divided, and the report, the verdict last.
fn conclude(
    ending: Ending<'_>,
    limits: Limits,
    mut tally: Tally,
    times: &Times,
) -> Result<Verdict, Error> {
    let Ending { args, plan, run, manifest } = ending;
    let timing = Some(times.sum_up());
    if let (Some(manifest), Some(part)) = (manifest, &plan.part) {
        let finished = Finished {
            records: part.seen(),
            run: run.clone(),
            timing: timing.clone(),
            unmet: plan.rules.unmet(),
        };
        manifest.finish(&args.out, &mut tally, finished)?;
    }
    let (verdict, report) = tally.sum_up(limits, run, timing)?;
    report::publish(&report, &args.out)?;
    Ok(verdict)
}

fn tally(args: &ReplayArgs) -> Result<Tally, Error> {
    let tally = Tally::new(&args.out);
    Ok(if args.sequential { tally.sequential(args.limits.limits()?) } else { tally })
}

fn run(args: &ReplayArgs, folder: &Folder) -> Run {
    let shown = |path: &PathBuf| path.display().to_string();
    let (parameters, runs) = (folder.parameters(), folder.runs());
    Run {
        command: "replay".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        records: shown(&parameters.records.path),
        target: parameters.target.clone(),
        rules: args.rules.as_ref().map(shown),
        noise: args.noise.as_ref().map(shown),
        shard: parameters.shard.map(|shard| shard.to_string()),
        started_at: runs.first().copied().unwrap_or_else(Timestamp::now),
        finished_at: Timestamp::now(),
        resumed: runs.len() as u64 - 1,
    }
}

impl OddGaps {
    /// Says which captured gaps were not kept to.
    fn tell(self) {
        let Self { backwards, cut } = self;
        if backwards + cut > 0 {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(
                io::stderr(),
                "replay: the captured clock ran backwards {backwards} times, which was taken as no \
                 gap, and {cut} gaps were cut to `--max-gap`"
            );
        }
    }
}
