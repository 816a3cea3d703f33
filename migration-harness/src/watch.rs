//! `parity watch`: compares live. It stands in front of the legacy system as a capture does, asks the
//! target what callers have asked, and keeps the verdict up to date; callers never wait for that.

mod entrance;
mod lines;
mod judge;
mod total;
mod state;
mod reporter;
mod metrics;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::calling::CallingArgs;
use crate::capture::{self, Destination, Front, FrontArgs, PATIENCE, Sample, SampleBy};
use crate::error::Error;
use crate::outcome::{LimitArgs, Limits, Looks};
use crate::report;
use crate::rules::Rules;
use crate::shard;
use crate::target::Target;

pub(crate) use entrance::Entrance;

use judge::Judge;
use lines::Lines;
use metrics::Metrics;
use reporter::Reporter;
use state::Parameters;
use total::Total;

/// What to watch, what to compare it with, and what has to be shown.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    #[command(flatten)]
    front: FrontArgs,
    /// Who is asked the same: `http://…`, `https://…` or `sagemaker:NAME`, which may hold `{model}` and
    /// `{client}`. A URL with a path is used as it is, else the call's path is appended.
    #[arg(long, value_name = "TARGET")]
    target: String,
    /// The folder for the report, `verdict.json` first of all, and for what was counted. A watch that
    /// was stopped there is taken up again. The report holds examples of calls as they were sent.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which share of the calls the target is asked too, each drawn by itself.
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    share: f64,
    /// What may differ, and fields with other names: a TOML file (docs/parity-rules.md).
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    calling: CallingArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// How often the report is written; less often where that would take a twentieth of the time.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = interval)]
    every: Duration,
    /// Gives up what a watch of something else has counted in DIR.
    #[arg(long)]
    fresh: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(interval) if interval.is_zero() => Err("a report takes some time, so not 0s".to_owned()),
        Ok(interval) => Ok(interval),
        Err(error) => Err(error.to_string()),
    }
}

/// Serves until a signal to stop; then ends the calls under way, compares what waits, writes the last
/// report, prints its summary and returns the exit code of its verdict.
pub(crate) async fn watch(args: WatchArgs) -> Result<u8, Error> {
    let limits = Limits { looks: Looks::Anytime, ..args.limits.limits()? };
    let sample = Sample::new(args.share, SampleBy::Call, None)
        .map_err(|reason| Error::Usage(format!("`--share` {reason}")))?;
    let scope = args.front.scope(sample)?;
    let rules = Arc::new(Rules::read(args.rules.as_deref())?);
    let target = Arc::new(args.calling.target(&args.target, &[])?);
    let caller = Arc::new(args.calling.caller(&target, 0).await?);
    let front = Front::bind(&args.front).await?;
    let total = Total::open(&args.out, parameters(&args, &target)?, args.fresh).await?;

    let mut counts = Registry::default();
    let copied = Arc::new(capture::Metrics::new(&mut counts));
    let metrics = Arc::new(Metrics::new(&mut counts));
    let (entrance, waiting) = entrance::open(&metrics, &copied);
    let judge = Judge::new(&total, Arc::clone(&rules), Arc::clone(&metrics)).start();
    let lines = Lines { waiting, caller, target, judge: judge.clone(), metrics: metrics.clone() };
    let lines = lines.start(args.calling.concurrency());
    let mut reporter = Reporter::new(total, judge, limits, metrics, Arc::clone(&copied));
    // Whoever looks finds a report from the start, and what is wrong with the folder is known by now.
    reporter.begin().await?;

    let destination = Destination::Comparison(entrance);
    let (recorder, proxy) = args.front.tap(scope, None, destination, &copied);
    let mut serving = front.serve("watch", proxy, counts);
    reporter.report_until(serving.told_to_stop(), args.every).await;
    serving.end().await;
    recorder.finish(PATIENCE).await;
    lines.end(PATIENCE).await;
    let report = reporter.end().await?;
    report::print(&report);
    tell_unmet(&rules);
    Ok(args.limits.exit_code(&report.verdict))
}

fn parameters(args: &WatchArgs, target: &Target) -> Result<Parameters, Error> {
    Ok(Parameters {
        upstream: args.front.upstream(),
        target: args.target.clone(),
        headers: target.header_names(),
        rules: args.rules.as_ref().map(|path| path.display().to_string()),
        rules_digest: shard::digest(args.rules.as_deref())?,
    })
}

/// What no rule was about may still come, so it is no error here.
fn tell_unmet(rules: &Rules) {
    if let Err(error) = rules.check_all_were_met() {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr(), "watch: since it was started last: {error}");
    }
}
