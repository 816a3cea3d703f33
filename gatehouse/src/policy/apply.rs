//! `gatehouse policy apply` and `diff`: what the folder would change, made as one version.

use clap::Args;
use serde_json::{Map, Value};

use super::change::{Change, difference, missing, show};
use super::folder::Documents;
use super::output::{Paint, complain, say};
use super::router::{Proposal, Proposed, Router};
use super::{Fault, Finding, Place};

/// How often options that change while they are compared are compared again.
const ATTEMPTS: usize = 3;
/// What the router keeps of a reason.
const MAX_REASON_BYTES: usize = 1000;

/// What to apply, and why.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    diff: DiffArguments,
    /// Why the options are changed, on one line; required when something changes
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
    /// Only show what would change, as `diff` does
    #[arg(long)]
    dry_run: bool,
}

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    #[command(flatten)]
    place: Place,
    /// Delete models and scopes that the folder lacks
    #[arg(long)]
    prune: bool,
}

/// Shows what differs.
pub(super) async fn diff(arguments: DiffArguments) -> Result<Finding, Fault> {
    let comparison = Comparison::of(&arguments, &arguments.place.router()?).await?;
    comparison.show();
    Ok(comparison.finding())
}

/// Shows what differs, and makes it a version.
pub(super) async fn apply(arguments: Arguments) -> Result<Finding, Fault> {
    let router = arguments.diff.place.router()?;
    let comparison = Comparison::of(&arguments.diff, &router).await?;
    comparison.show();
    if arguments.dry_run || comparison.changes.is_empty() {
        return Ok(comparison.finding());
    }
    let reason = arguments.reason.ok_or_else(|| {
        Fault::Given("nothing was applied: say why with --reason TEXT".to_owned())
    })?;
    match router.make(comparison.proposal(), &reason).await? {
        Proposed::Taken(made) => {
            say(&format!("version {} is in force", made.version));
            Ok(Finding::Fine)
        }
        Proposed::Overtaken => Err(Fault::Failed(format!(
            "somebody else changed the options after they were compared with version {}; nothing \
             was applied: run the command again, and look at what differs now",
            comparison.version
        ))),
    }
}

/// The folder beside the options in force.
#[derive(Debug)]
struct Comparison {
    /// The version in force.
    version: u64,
    /// What to send.
    documents: Map<String, Value>,
    /// What that changes, as the router tells it.
    changes: Vec<Change>,
    /// What is in force, has no file, and stays.
    kept: Vec<String>,
}

impl Comparison {
    async fn of(arguments: &DiffArguments, router: &Router) -> Result<Self, Fault> {
        let wanted = arguments.place.folder()?.documents()?;
        for _ in 0..ATTEMPTS {
            if let Some(comparison) = Self::attempt(router, &wanted, arguments.prune).await? {
                return Ok(comparison);
            }
        }
        let message = "the options change while they are compared; run the command again";
        Err(Fault::Failed(message.to_owned()))
    }

    /// None where somebody changed the options meanwhile.
    async fn attempt(
        router: &Router,
        wanted: &Documents,
        prune: bool,
    ) -> Result<Option<Self>, Fault> {
        let in_force = router.in_force().await?;
        let version = in_force.version;
        let kept = if prune { Vec::new() } else { missing(wanted, &in_force.documents).collect() };
        let documents = difference(wanted, &in_force.documents, prune);
        if documents.is_empty() {
            return Ok(Some(Self { version, documents, changes: Vec::new(), kept }));
        }
        match router.rehearse(Proposal { version, documents: &documents }).await? {
            Proposed::Taken(rehearsed) => {
                Ok(Some(Self { version, documents, changes: rehearsed.changes, kept }))
            }
            Proposed::Overtaken => Ok(None),
        }
    }

    fn proposal(&self) -> Proposal<'_> {
        Proposal { version: self.version, documents: &self.documents }
    }

    fn finding(&self) -> Finding {
        if self.changes.is_empty() { Finding::Fine } else { Finding::Different }
    }

    fn show(&self) {
        if self.changes.is_empty() {
            say(&format!("nothing to do: version {} says the same", self.version));
        } else {
            say(&show(&self.changes, Paint::of_standard_output()));
        }
        if let Some(first) = self.kept.first() {
            let others = match self.kept.len() - 1 {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            complain(&format!(
                "in force and without a file: {first}{others}; kept, as --prune is not given"
            ));
        }
    }
}

/// A reason that fits into a header.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_REASON_BYTES || text.contains(char::is_control) {
        return Err(format!("must be one line of 1 to {MAX_REASON_BYTES} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
