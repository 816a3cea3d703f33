//! `gatehouse policy`: the options of a router, kept as files in git.

mod subject;
mod document;
mod folder;
mod router;
mod change;
mod apply;
mod export;
mod case;
mod test;
mod junit;
mod output;
#[cfg(test)]
mod stub;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use folder::Folder;
use router::Router;

use crate::router_key::RouterKey;

/// The layout of the folder and the exit codes, at the end of every help text.
const LAYOUT: &str = "\
Files of DIR (.yaml, .yml or .json, 256 KiB each at most; hidden ones are left alone):
  models/NAME.yaml
  scopes/platform.yaml
  scopes/industry/NAME.yaml
  scopes/client/NAME.yaml
  scopes/client/NAME/site/NAME.yaml
  tests/*.yaml                         for `gatehouse policy test`

Each holds what PUT /v1/models/NAME or PUT /v1/scopes/... takes. The key of the router, where it
demands one, is read from GATEHOUSE_KEY.";

/// What to do with the folder and the router.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what differs, and makes the folder's options those in force, as one new version
    ///
    /// Nothing is changed where somebody else changed the options in between. A model or scope
    /// that the folder lacks stays as it is, unless --prune is given.
    ///
    /// Exit codes: 0 in force (with --dry-run: nothing to do), 1 differences (with --dry-run), 64
    /// a wrong command line, file or option, 70 anything else, such as a router out of reach.
    #[command(after_help = LAYOUT)]
    Apply(apply::Arguments),
    /// Writes the options in force to the folder, as files that `apply` takes
    ///
    /// A file that means the same already is left as it is, with its comments. A file that says
    /// something else is overwritten only with --force; nothing is written before all is checked.
    ///
    /// Exit codes: 0 written, 64 a wrong command line or a folder with other content, 70 anything
    /// else, such as a router out of reach.
    #[command(after_help = LAYOUT)]
    Export(export::Arguments),
    /// Shows what `apply` would change, field by field, and changes nothing
    ///
    /// The router checks the options as it does for `apply`, so that a faulty one is found here.
    ///
    /// Exit codes: 0 nothing to do, 1 differences, 64 a wrong command line, file or option, 70
    /// anything else, such as a router out of reach.
    #[command(after_help = LAYOUT)]
    Diff(apply::DiffArguments),
    /// Checks the verdicts that the folder's options would give, and changes nothing
    ///
    /// The router judges each content with the folder's options in place of those in force, by
    /// its own models.
    ///
    /// Exit codes: 0 all as expected, 1 a wrong verdict, 64 a wrong command line, file or option,
    /// 70 no verdict to judge by: a model failed, or the router is out of reach.
    #[command(after_help = test::HELP)]
    Test(test::Arguments),
}

/// Which folder, and which router.
#[derive(Debug, Args)]
struct Place {
    /// Folder of the options
    #[arg(short = 'f', long = "folder", value_name = "DIR")]
    folder: PathBuf,
    /// The router's URL
    #[arg(
        long,
        value_name = "URL",
        env = "GATEHOUSE_ROUTER",
        default_value = "http://127.0.0.1:8080"
    )]
    router: String,
}

impl Place {
    fn folder(&self) -> Result<Folder, Fault> {
        Folder::read(&self.folder).map_err(Fault::Given)
    }

    fn router(&self) -> Result<Router, Fault> {
        let key = RouterKey::from_environment();
        Router::open(&self.router, key.map_err(|fault| Fault::Given(format!("{fault:#}")))?)
    }
}

/// What a command found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// All is as it should be.
    Fine,
    /// The options differ, or a verdict is wrong.
    Different,
    /// There was no verdict to judge by.
    Unproven,
}

/// Why a command ended without an answer.
#[derive(Debug)]
enum Fault {
    /// What was given is wrong: the command line, a file, an option.
    Given(String),
    /// Anything else.
    Failed(String),
}

impl Fault {
    /// All that is wrong with what was given.
    fn all(faults: &[String]) -> Self {
        Self::Given(faults.join("\nerror: "))
    }
}

/// Runs a command to its end, prints what it found or why it could not, and returns the exit code.
pub(crate) async fn run(command: Command) -> u8 {
    let ended = match command {
        Command::Apply(arguments) => apply::apply(arguments).await,
        Command::Export(arguments) => export::export(arguments).await,
        Command::Diff(arguments) => apply::diff(arguments).await,
        Command::Test(arguments) => test::test(arguments).await,
    };
    match ended {
        Ok(Finding::Fine) => 0,
        Ok(Finding::Different) => 1,
        Ok(Finding::Unproven) => EX_SOFTWARE,
        Err(fault) => fail(&fault),
    }
}

fn fail(fault: &Fault) -> u8 {
    let (message, code) = match fault {
        Fault::Given(message) => (message, crate::EX_USAGE),
        Fault::Failed(message) => (message, EX_SOFTWARE),
    };
    output::complain(&format!("error: {message}"));
    code
}

/// The exit code for what is nobody's fault here, as in `sysexits.h`.
const EX_SOFTWARE: u8 = 70;
