//! The model container's own small binary, for images.

use std::process::ExitCode;

use clap::Parser;
use model_container::cli::{self, Arguments};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// One moderation model behind /ping and /invocations
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> anyhow::Result<ExitCode> {
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(run());
    // A model that is still being read when the signal to stop comes is not waited for.
    runtime.shutdown_background();
    ended
}

async fn run() -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    tracing_subscriber::fmt()
        .json()
        .with_writer(std::io::stderr)
        .with_env_filter(filter.from_env_lossy())
        .init();
    match Command::try_parse() {
        Ok(command) => cli::run(command.arguments).await,
        Err(error) => Ok(usage(&error)),
    }
}

/// A wrong command line has its own exit code, for 1 is the answer of a check.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed standard output or error leaves nobody to tell.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 })
}

/// As in `sysexits.h`.
const EX_USAGE: u8 = 64;
