//! The command `gatehouse deploy`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Subcommand};

use crate::event::Reporter;
use crate::promotion::{Live, promote, roll_back};
use crate::site::Site;
use crate::store::Store;
use crate::target::{PlaceArguments, TargetArguments};
use crate::{Deployment, Error, Event, Limits, Target, release, status, watch};

/// Puts a package behind an endpoint and a route, and moves the route
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Command {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    deploy: DeployArguments,
}

/// What else there is to do than to deploy.
#[derive(Debug, Subcommand)]
enum Other {
    /// Points the model to the endpoint of its shadow
    Promote(PromoteArguments),
    /// Goes back to the version that was live before
    Rollback(RollbackArguments),
    /// Shows endpoints, versions and routes
    Status(StatusArguments),
    /// Deploys each model that is dropped into a folder or an S3 prefix
    Watch(watch::Arguments),
}

/// What to deploy.
#[derive(Debug, Args)]
struct DeployArguments {
    /// The package: its folder or .tar.gz, or a bare .model or .onnx file; ./watch and the like
    /// where it is called as a subcommand is
    // Options that are required: a subcommand stands without them.
    #[arg(required = true)]
    path: Option<PathBuf>,
    /// The name of the endpoint, and of the model in the router
    #[arg(long, required = true)]
    name: Option<String>,
    #[command(flatten)]
    target: TargetArguments,
    /// The router's URL; without it no model is registered
    #[arg(long, value_name = "URL")]
    router: Option<String>,
    #[command(flatten)]
    limits: Limits,
    /// Give it an endpoint of its own, registered as NAME-shadow, that no verdict hears
    #[arg(long)]
    shadow: bool,
}

/// Whose shadow becomes live.
#[derive(Debug, Args)]
struct PromoteArguments {
    /// The name of the model in the router
    #[arg(long)]
    name: String,
    /// The router's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    router: String,
    #[command(flatten)]
    upload: UploadArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

/// What goes back.
#[derive(Debug, Args)]
struct RollbackArguments {
    /// The name that was deployed
    #[arg(long)]
    name: String,
    /// The router's URL, if the model is registered in one
    #[arg(long, value_name = "URL")]
    router: Option<String>,
    #[command(flatten)]
    upload: UploadArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Where deployments of the name upload to.
#[derive(Debug, Args)]
struct UploadArguments {
    /// The folder that models are uploaded to: a deployment of the name is waited for
    #[arg(long = "upload", value_name = "DIR", default_value = "data/models")]
    folder: String,
}

impl UploadArguments {
    /// Waits until no deployment of `name` goes on; without the folder, there is none.
    async fn lock(
        &self,
        site: &Site,
        name: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<Option<File>, Error> {
        if !Path::new(&self.folder).is_dir() {
            return Ok(None);
        }
        let target = Target::host("", &self.folder);
        Store::open(&target, &site.config).await?.lock(name, reporter).await
    }
}

/// What to show.
#[derive(Debug, Args)]
struct StatusArguments {
    /// The name that was deployed; all by default
    #[arg(long)]
    name: Option<String>,
    /// The router's URL, for showing the routes
    #[arg(long, value_name = "URL")]
    router: Option<String>,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Deploys, and prints each step with its time; or moves or shows what was deployed.
///
/// # Errors
/// When a step fails.
pub async fn run(command: Command) -> Result<ExitCode, Error> {
    match command.other {
        Some(Other::Promote(arguments)) => run_promote(arguments).await?,
        Some(Other::Rollback(arguments)) => run_rollback(arguments).await?,
        Some(Other::Status(arguments)) => run_status(arguments).await?,
        Some(Other::Watch(arguments)) => return watch::run(arguments).await,
        None => deploy(command.deploy).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn deploy(arguments: DeployArguments) -> Result<(), Error> {
    let deployment = Deployment {
        package: arguments.path.unwrap_or_default(),
        name: arguments.name.unwrap_or_default(),
        target: arguments.target.target().await?,
        router: arguments.router,
        limits: arguments.limits,
        shadow: arguments.shadow,
        allow_workers: true,
    };
    let started = Instant::now();
    let deployed = deployment.run(print).await?;
    print(Event::Done("in all".to_owned(), started.elapsed()));
    let stage = if deployment.shadow { "shadow" } else { "live" };
    say(&format!("{} {} is {stage}", deployment.name, deployed.version));
    Ok(())
}

async fn run_promote(arguments: PromoteArguments) -> Result<(), Error> {
    release::check_name(&arguments.name)?;
    let site = Site::open(&arguments.place.place().await?, Some(&arguments.router)).await?;
    let (mut print, started) = (print, Instant::now());
    let mut reporter = Reporter::new(&mut print);
    let _lock = arguments.upload.lock(&site, &arguments.name, &mut reporter).await?;
    let live = promote(&site, &arguments.name, &mut reporter).await?;
    print(Event::Done("in all".to_owned(), started.elapsed()));
    say_live(&arguments.name, &live);
    Ok(())
}

async fn run_rollback(arguments: RollbackArguments) -> Result<(), Error> {
    release::check_name(&arguments.name)?;
    let site = Site::open(&arguments.place.place().await?, arguments.router.as_deref()).await?;
    let (mut print, started) = (print, Instant::now());
    let mut reporter = Reporter::new(&mut print);
    let _lock = arguments.upload.lock(&site, &arguments.name, &mut reporter).await?;
    let live = roll_back(&site, &arguments.name, &mut reporter).await?;
    print(Event::Done("in all".to_owned(), started.elapsed()));
    say_live(&arguments.name, &live);
    Ok(())
}

async fn run_status(arguments: StatusArguments) -> Result<(), Error> {
    arguments.name.as_deref().map_or(Ok(()), release::check_name)?;
    let site = Site::open(&arguments.place.place().await?, arguments.router.as_deref()).await?;
    say(status::table(&site, arguments.name.as_deref()).await?.trim_end());
    Ok(())
}

fn print(event: Event) {
    match event {
        Event::Done(step, took) => say(&format!("{step:<30} {:>8.1} ms", took.as_secs_f64() * 1e3)),
        Event::Note(text) => say(&text),
    }
}

fn say_live(name: &str, Live { endpoint, version }: &Live) {
    say(&format!("{name} {version} is live on {endpoint}"));
}

/// A closed standard output is no reason to stop half-way.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        command: Command,
    }

    fn parse(line: &str) -> Result<Command, String> {
        let line = line.split_whitespace();
        let parsed = CommandLine::try_parse_from(std::iter::once("deploy").chain(line));
        parsed.map(|line| line.command).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_deployed_and_the_name_of_a_subcommand_is_one() {
        let deploy = parse("./status --name spam --shadow").unwrap();
        assert!(deploy.other.is_none() && deploy.deploy.shadow);
        let status = parse("status").unwrap();
        assert!(matches!(status.other, Some(Other::Status(_))));
        assert!(parse("promote --name spam --host http://x").is_ok());
        assert!(parse("spam.model").unwrap_err().contains("--name"));
        assert!(parse("").unwrap_err().contains("--name"));
        assert!(parse("rollback").unwrap_err().contains("--name"));
    }

    #[tokio::test]
    async fn all_that_sagemaker_needs_and_lacks_is_listed_in_one_error() {
        let deploy = parse("spam.model --name spam --target sagemaker --upload ./here").unwrap();
        let error = run(deploy).await.unwrap_err().to_string();
        for flag in ["--role-arn", "--image", "--upload s3://"] {
            assert!(error.contains(flag), "{error}");
        }
    }
}
