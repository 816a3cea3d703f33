//! Holds a package, or any container that runs, to what SageMaker asks of it.
//!
//! A container is judged rule by rule, one line each: `ok` with what was measured, `broken` with
//! what was seen and what to do, or `untested` with the reason. What can't be seen never passes.

mod arguments;
mod package;
mod report;
mod site;
mod client;
mod answer;
mod rules;
mod load;
mod launch;
mod restart;
mod stop;
mod process;
mod listeners;

use std::io::{self, Write};
use std::time::Duration;

pub use arguments::Arguments;
pub use report::Tally;
pub use site::Example;

use launch::Launch;
use process::Start;
use report::Report;
use site::Site;
use stop::Stopped;

/// The container to judge.
#[derive(Debug, Clone)]
pub enum Target {
    /// One that runs already, by its `HOST:PORT`.
    Address(String),
    /// A program and its arguments, which is started with `serve` added, and ended.
    Command(Vec<String>),
}

/// How long a container may take; the default is what SageMaker allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the start to the first ping that is answered 200.
    // serverless-endpoints-invoke.html: "must be able to download the model and pass the health
    // check within 3 minutes", the shortest of SageMaker's limits for a start.
    pub start: Duration,
    /// For the answer to a ping.
    pub ping: Duration,
    /// For a connection.
    pub accept: Duration,
    /// For the answer to an invocation.
    pub answer: Duration,
    /// From SIGTERM to the end of the process.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(180),
            ping: Duration::from_secs(2),
            accept: Duration::from_millis(250),
            answer: Duration::from_secs(60),
            stop: Duration::from_secs(30),
        }
    }
}

/// Judges a container by every rule and writes one line for each, as soon as it is known.
///
/// `example` is a request that the container should answer; without one, some usual ones are tried.
/// Dropping the future ends whatever was started.
///
/// # Errors
/// When `out` fails, or the system refuses what the check itself needs.
pub async fn container(
    target: Target,
    example: Option<Example>,
    limits: &Limits,
    out: impl Write,
) -> io::Result<Tally> {
    let mut report = Report::new(out);
    match target {
        Target::Address(address) => {
            let why = "it was started already; --command starts the container and stops it";
            report.judge(launch::RULES, Err(why))?;
            let site = Site::open(address, example, limits).await;
            serving(&mut report, Ok(&site)).await?;
            report.judge(stop::RULES, Err(why))?;
            report.skip(restart::RULES, why)?;
        }
        Target::Command(command) => started(&mut report, &command, example, limits).await?,
    }
    Ok(report.tally())
}

async fn started(
    report: &mut Report<impl Write>,
    command: &[String],
    example: Option<Example>,
    limits: &Limits,
) -> io::Result<()> {
    process::supported()?;
    let mut launch = Launch::of(command, limits).await?;
    report.judge(launch::RULES, Ok(&launch))?;
    let Some(address) = launch.address() else {
        let why = "the container never listened";
        serving(report, Err(why)).await?;
        report.judge(stop::RULES, Err(why))?;
        return report.skip(restart::RULES, why);
    };
    let site = Site::open(address.to_string(), example, limits).await;
    serving(report, Ok(&site)).await?;
    let stopped = Stopped::observe(&site, launch.process()).await;
    report.judge(stop::RULES, Ok(&stopped))?;
    if !launch.is_ready() {
        return report.skip(restart::RULES, "the first start was never ready");
    }
    let plain = Start { command, serve: launch.takes_serve(), ..Start::default() };
    drop(launch);
    for (name, rule) in restart::RULES {
        report.line(name, rule(&plain, limits).await)?;
    }
    Ok(())
}

async fn serving(report: &mut Report<impl Write>, site: Result<&Site, &str>) -> io::Result<()> {
    let Ok(site) = site else {
        report.skip(rules::RULES, site.err().unwrap_or_default())?;
        return report.judge(load::RULES, Err(site.err().unwrap_or_default()));
    };
    for (name, rule) in rules::RULES {
        report.line(name, rule(site).await)?;
    }
    match load::Load::observe(site).await {
        Ok(load) => report.judge(load::RULES, Ok(&load)),
        Err(why) => report.judge(load::RULES, Err(&why)),
    }
}
