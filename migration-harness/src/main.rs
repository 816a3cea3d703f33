//! The `migration-harness` binary: the commands of `gatehouse parity` without the rest.

use std::process::ExitCode;

use clap::Parser;
use migration_harness::{Command, run};
use mimalloc::MiMalloc;

/// Records are read in one thread and let go of in another, which it is quicker at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The exit code for a command line that can't be understood.
const USAGE: u8 = 64;

/// Replays captured calls and compares the answers.
#[derive(Parser)]
#[command(name = "migration-harness", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => ExitCode::from(run(arguments.command).await),
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // A closed terminal leaves nobody to tell.
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}
