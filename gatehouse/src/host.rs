//! `gatehouse host`: the endpoint host, and what SageMaker would have charged for its work.

mod cost;
mod signing;

use clap::{Args, Subcommand};

use crate::servers;

/// The host's settings, or a question to one that runs.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: endpoint_host::Config,
}

#[derive(Subcommand)]
enum Command {
    /// Tells what SageMaker would have charged for the calls of every endpoint; where the host
    /// demands signatures, asks with the key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    Cost(cost::Arguments),
}

/// Serves, or asks.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Some(Command::Cost(arguments)) => cost::run(&arguments).await,
        None => servers::run_host(arguments.config).await,
    }
}
