//! `gatehouse policy test`: expected verdicts, checked by a router with the folder's options.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::case::{self, Case, Judgement};
use super::change::difference;
use super::folder::Folder;
use super::output::{plain, say};
use super::router::Router;
use super::{Fault, Finding, Place, junit};

/// A batch of as many contents is judged at once.
const BATCH: usize = 50;
/// Leaves room for the documents, in what the router takes at once.
const BATCH_BYTES: usize = 2 << 20;

/// What the help text ends with.
pub(super) const HELP: &str = "\
Each file in DIR/tests holds a list of cases:

  - name: an ad is rejected
    client: toybox
    site: en-GB                        # optional
    content: {text: Win a free prize!} # the fields
    verdict: reject                    # approve, review or reject
    rules: [spam]                      # optional: exactly the rules in the reasons
  - name: a bad review is looked at
    client: toybox
    content:                           # or all that POST /v1/moderate takes
      fields: {title: Bad, text: It broke.}
      rating: 1
    verdict: review

The folder's other files are those of `gatehouse policy apply`, and change what is in force for
these verdicts only. The key of the router, where it demands one, is read from GATEHOUSE_KEY.";

/// What to test, and where to report it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Judge as if models and scopes that the folder lacks were deleted
    #[arg(long)]
    prune: bool,
    /// Write a report as JUnit's XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Checks every case, and prints those that failed.
pub(super) async fn test(arguments: Arguments) -> Result<Finding, Fault> {
    let folder = arguments.place.folder()?;
    let (wanted, cases) = (folder.documents()?, cases(&folder)?);
    let router = arguments.place.router()?;
    let in_force = router.in_force().await?;
    let documents = difference(&wanted, &in_force.documents, arguments.prune);
    let judged = judge(&router, &documents, cases).await?;
    if let Some(path) = &arguments.junit {
        let written = std::fs::write(path, junit::report(&judged));
        written.map_err(|error| Fault::Failed(format!("`{}`: {error}", path.display())))?;
    }
    say(&report(&judged));
    Ok(finding(&judged))
}

/// A case, and how it went.
pub(super) type Judged = (Case, Judgement);

fn cases(folder: &Folder) -> Result<Vec<Case>, Fault> {
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for file in &folder.tests {
        match case::read(file) {
            Ok(read) => cases.extend(read),
            Err(found) => faults.extend(found),
        }
    }
    match (faults.is_empty(), cases.is_empty()) {
        (false, _) => Err(Fault::all(&faults)),
        (true, true) => {
            let message =
                "the folder has no test in tests/; `gatehouse policy test --help` shows one";
            Err(Fault::Given(message.to_owned()))
        }
        (true, false) => Ok(cases),
    }
}

async fn judge(
    router: &Router,
    documents: &Map<String, Value>,
    cases: Vec<Case>,
) -> Result<Vec<Judged>, Fault> {
    let mut judged = Vec::new();
    let mut version = None;
    let mut rest = cases.into_iter().peekable();
    while rest.peek().is_some() {
        let batch = batch(&mut rest);
        let contents: Vec<Value> = batch.iter().map(|case| case.content.clone()).collect();
        let answer = router.what_if(documents, &contents).await?;
        if *version.get_or_insert(answer.policy_version) != answer.policy_version {
            let message = "somebody changed the options during the test; run it again";
            return Err(Fault::Failed(message.to_owned()));
        }
        for (case, answer) in batch.into_iter().zip(&answer.contents) {
            let judgement = case.judge(answer).map_err(Fault::Failed)?;
            judged.push((case, judgement));
        }
    }
    Ok(judged)
}

/// As many of the cases as may be sent at once, and one at least.
fn batch(rest: &mut std::iter::Peekable<impl Iterator<Item = Case>>) -> Vec<Case> {
    let mut batch: Vec<Case> = rest.next().into_iter().collect();
    let size = |case: &Case| case.content.to_string().len();
    let mut bytes: usize = batch.iter().map(size).sum();
    while batch.len() < BATCH
        && let Some(case) = rest.next_if(|case| bytes + size(case) <= BATCH_BYTES)
    {
        bytes += size(&case);
        batch.push(case);
    }
    batch
}

/// A wrong verdict is certain, whatever else had none.
fn finding(judged: &[Judged]) -> Finding {
    let any = |of: fn(&Judgement) -> bool| judged.iter().any(|(_, judgement)| of(judgement));
    if any(|judgement| matches!(judgement, Judgement::Wrong(_))) {
        Finding::Different
    } else if any(|judgement| matches!(judgement, Judgement::Unproven(_))) {
        Finding::Unproven
    } else {
        Finding::Fine
    }
}

/// A table of what is not as expected, and the totals.
fn report(judged: &[Judged]) -> String {
    let failures: Vec<_> = judged.iter().filter_map(row).collect();
    let wrong = judged.iter().filter(|(_, judgement)| matches!(judgement, Judgement::Wrong(_)));
    let (tests, wrong) = (judged.len(), wrong.count());
    let unproven = failures.len() - wrong;
    let right = tests - failures.len();
    let totals =
        format!("{tests} tests: {right} as expected, {wrong} wrong, {unproven} without a verdict");
    if failures.is_empty() { totals } else { format!("{}\n{totals}", table(&failures)) }
}

fn row((case, judgement): &Judged) -> Option<[String; 5]> {
    let (actual, reasons) = match judgement {
        Judgement::Right => return None,
        Judgement::Wrong(actual) => (actual.verdict.as_str(), actual.reasons.as_str()),
        Judgement::Unproven(reason) => ("no verdict", reason.as_str()),
    };
    let expected = case.expected();
    Some([case.file.as_str(), &case.name, &expected, actual, reasons].map(plain))
}

fn table(rows: &[[String; 5]]) -> String {
    let head = ["FILE", "TEST", "EXPECTED", "ACTUAL", "REASONS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(&head).chain(rows).collect();
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &&[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
