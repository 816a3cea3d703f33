//! The one binary: every part of Gatehouse behind a subcommand.

mod dev;
mod host;
mod key;
mod moderate;
mod router_key;
mod policy;
mod servers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Moderates what customers write: each model behind its own endpoint, each client by its own rules
#[derive(Parser)]
#[command(version)]
struct Gatehouse {
    #[command(subcommand)]
    command: Command,
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
    let command = match Gatehouse::try_parse() {
        Ok(gatehouse) => gatehouse.command,
        Err(error) => return Ok(usage(&error)),
    };
    log_to_standard_error(&command);
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
fn log_to_standard_error(command: &Command) {
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr);
    if let Command::Dev(_) = command {
        builder.without_time().with_env_filter(filter(LevelFilter::ERROR)).init();
    } else {
        builder.json().with_env_filter(filter(LevelFilter::INFO)).init();
    }
}

fn filter(default: LevelFilter) -> EnvFilter {
    EnvFilter::builder().with_default_directive(default.into()).from_env_lossy()
}
