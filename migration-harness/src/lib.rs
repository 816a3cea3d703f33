//! Shows whether a migrated model still answers as the old one did: captured calls are replayed
//! against a target, each answer is compared with the captured one, and a verdict sums it up.

mod replay;
mod record;
mod target;
mod caller;
mod compare;
mod difference;
mod json;
mod tally;
mod outcome;
mod bound;
mod verdict;
mod summary;
mod error;

use std::io::{self, Write};

pub use replay::{ReplayArgs, Require};

use error::Error;

/// What `parity` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Replays captured calls against a target and compares the answers.
    ///
    /// Exit codes: 0 parity, 1 broken, 2 unproven, 64 usage, 70 anything that kept a verdict from
    /// being reached, such as a record that can't be read.
    Replay(ReplayArgs),
}

/// Runs a command to its end, prints its result or its error, and returns the exit code.
pub async fn run(command: Command) -> u8 {
    let Command::Replay(args) = command;
    match replay::replay(args).await {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> u8 {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "error: {error}");
    error.exit_code()
}
