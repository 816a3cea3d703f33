//! The one binary: every part of Gatehouse behind a subcommand.

mod dev;
mod host;
mod key;
mod moderate;
mod router_key;
mod policy;
mod servers;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use mimalloc::MiMalloc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Each verdict takes hundreds of small allocations, which the system's allocator is slower at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Moderates what customers write: each model behind its own endpoint, each client by its own rules
#[derive(Parser)]
#[command(version)]
struct Gatehouse {
    /// How to log: `text` for people, `json` for machines; json by default, but text for `dev`
    #[arg(long, global = true, env = "GATEHOUSE_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Starts everything with the example models and clients, and shows their verdicts
    Dev(dev::Arguments),
    /// Takes contents and answers with verdicts
    Router(router::Config),
    /// Serverless endpoints on this machine, speaking SageMaker's APIs
    Host(host::Arguments),
    /// One model: serve it, score with it, or check it
    Model(model_container::cli::Arguments),
    /// Compares the answers of a migrated model with those captured from the old one
    #[command(subcommand)]
    Parity(migration_harness::Command),
    /// Puts a package behind an endpoint and a route
    Deploy(Box<deployer::cli::Command>),
    /// Makes, shows and revokes the keys of a router
    #[command(subcommand)]
    Key(key::Command),
    /// Sends contents from standard input to a router, and writes the verdicts to standard output
    Moderate(moderate::Arguments),
    /// Keeps the options of a router in a folder: apply, export, diff, test
    #[command(subcommand)]
    Policy(policy::Command),
}

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(run());
    // A model that is still being read when the signal to stop comes is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run() -> anyhow::Result<ExitCode> {
    let Gatehouse { log_format, command } = match Gatehouse::try_parse() {
        Ok(gatehouse) => gatehouse,
        Err(error) => return Ok(usage(&error)),
    };
    log_to_standard_error(&command, log_format);
    match command {
        Command::Dev(arguments) => dev::run(arguments).await?,
        Command::Router(config) => servers::run_router(config).await?,
        Command::Host(arguments) => host::run(arguments).await?,
        Command::Model(arguments) => return model_container::cli::run(arguments).await,
        Command::Parity(command) => return Ok(migration_harness::run(command).await.into()),
        Command::Deploy(command) => return Ok(deployer::cli::run(*command).await?),
        Command::Key(command) => key::run(command).await?,
        Command::Moderate(arguments) => return moderate::run(arguments).await,
        Command::Policy(command) => return Ok(policy::run(command).await.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// For `parity`, clap's own code 2 would mean "unproven".
fn usage(error: &clap::Error) -> ExitCode {
    // A closed standard output or error leaves nobody to tell.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 })
}

/// The exit code for a wrong command line, as in `sysexits.h`.
const EX_USAGE: u8 = 64;

/// Servers log JSON for machines; `dev` logs only what a person must know.
fn log_to_standard_error(command: &Command, format: Option<LogFormat>) {
    let (usual, level) = match command {
        Command::Dev(_) => (LogFormat::Text, LevelFilter::ERROR),
        _ => (LogFormat::Json, LevelFilter::INFO),
    };
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr);
    let builder = builder.with_env_filter(filter(level));
    match format.unwrap_or(usual) {
        LogFormat::Text if matches!(command, Command::Dev(_)) => builder.without_time().init(),
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

fn filter(default: LevelFilter) -> EnvFilter {
    EnvFilter::builder().with_default_directive(default.into()).from_env_lossy()
}
