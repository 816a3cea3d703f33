//! Shows whether a migrated model still answers as the old one did: captured calls are replayed
//! against a target, each answer is compared with the captured one, and a verdict sums it up.

mod capture;
mod import;
mod replay;
mod diff;
mod select;
mod merge;
mod watch;
mod shard;
mod record;
mod header;
mod naming;
mod target;
mod caller;
mod calling;
mod rules;
mod compare;
mod difference;
mod json;
mod tally;
mod outcome;
mod bound;
mod sequential;
mod verdict;
mod report;
mod whole;
mod error;

use std::io::{self, Write};

pub use calling::CallingArgs;
pub use capture::{CaptureArgs, FrontArgs};
pub use diff::DiffArgs;
pub use import::{Duplicates, Format, ImportArgs};
pub use merge::MergeArgs;
pub use outcome::Require;
pub use replay::{Only, ReplayArgs, SendingArgs};
pub use report::ReportArgs;
pub use select::SelectArgs;
pub use watch::WatchArgs;

use error::Error;

/// What `parity` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Records the calls of a running system, standing in front of it.
    ///
    /// Calls are passed on as they come, and never wait for their recording: what can't be written in
    /// time is counted. Runs until SIGTERM or Ctrl-C; calls under way then have 30 seconds to end.
    Capture(Box<CaptureArgs>),
    /// Makes records of calls that other tools have captured, and says what is odd about them.
    ///
    /// Exit codes: 0, 64 usage, 70 when something can't be read or is no call.
    Import(Box<ImportArgs>),
    /// Replays captured calls against a target and compares the answers.
    ///
    /// Exit codes: 0 parity, 1 broken, 2 unproven, 64 usage, 70 anything that kept a verdict from
    /// being reached, such as a record that can't be read.
    Replay(Box<ReplayArgs>),
    /// Compares recorded answers with other recorded answers to the same calls.
    ///
    /// Exit codes as those of `replay`.
    Diff(Box<DiffArgs>),
    /// Shows the report of a comparison once more, as text or in another form.
    ///
    /// Exit codes: 0 shown, whatever the outcome is, 64 usage, 70 a report that can't be read.
    Report(ReportArgs),
    /// Selects out of a large capture a small set of records that covers it, and a random part.
    Select(SelectArgs),
    /// Sums the shards of a replay up to one verdict; refuses an incomplete set.
    ///
    /// Exit codes as those of `replay`.
    Merge(MergeArgs),
    /// Compares live: passes calls on to a running system, asks a target the same, and keeps the
    /// verdict up to date.
    ///
    /// Callers get the running system's answers and never wait for the comparison. Runs until SIGTERM
    /// or Ctrl-C; the same command goes on counting where it was. Exit codes as those of `replay`.
    Watch(Box<WatchArgs>),
}

/// Runs a command to its end, prints its result or its error, and returns the exit code.
pub async fn run(command: Command) -> u8 {
    let ended = match command {
        Command::Capture(args) => capture::capture(*args).await,
        Command::Import(args) => import::import(*args),
        Command::Replay(args) => replay::replay(*args).await,
        Command::Diff(args) => diff::diff(*args).await,
        Command::Report(args) => report::report(&args),
        Command::Select(args) => select::select(&args),
        Command::Merge(args) => merge::merge(args).await,
        Command::Watch(args) => watch::watch(*args).await,
    };
    match ended {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> u8 {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "error: {error}");
    error.exit_code()
}
