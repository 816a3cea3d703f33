//! The verdict as a short table for the terminal.

use std::fmt::{self, Write};

use crate::tally::Tally;
use crate::verdict::Verdict;

/// How many groups and how many differences are shown; `verdict.json` holds all of them.
const MAX_ROWS: usize = 20;

/// The verdict in words and tables.
pub(crate) fn text(verdict: &Verdict, tally: &Tally) -> String {
    let mut text = String::new();
    write_all(&mut text, verdict, tally).expect("a string takes all that is written to it");
    text
}

fn write_all(text: &mut String, verdict: &Verdict, tally: &Tally) -> fmt::Result {
    let Verdict { records, distinct, mismatches, bound, .. } = verdict;
    writeln!(text, "{}: {mismatches} of {records} records differ", verdict.outcome.name())?;
    writeln!(
        text,
        "mismatch rate over {distinct} distinct requests: at most {} at {} % confidence",
        rate(bound.mismatch_rate),
        bound.confidence * 100.0
    )?;
    if let Some((line, reason)) = &tally.failure {
        writeln!(text, "first call without an answer, line {line}: {reason}")?;
    }
    write_table(text, &group_rows(verdict))?;
    write_table(text, &cluster_rows(verdict))
}

fn group_rows(verdict: &Verdict) -> Vec<Vec<String>> {
    let head = ["model", "client", "records", "mismatches", "rate at most", "outcome"];
    let rows = verdict.groups.iter().map(|group| {
        vec![
            group.model.clone(),
            group.client.clone().unwrap_or_else(|| "-".to_owned()),
            group.records.to_string(),
            group.mismatches.to_string(),
            rate(group.mismatch_rate),
            group.outcome.name().to_owned(),
        ]
    });
    with_head(&head, rows)
}

fn cluster_rows(verdict: &Verdict) -> Vec<Vec<String>> {
    let head = ["field", "kind", "model", "records", "example"];
    let rows = verdict.clusters.iter().map(|cluster| {
        vec![
            cluster.field.clone(),
            cluster.kind.name().to_owned(),
            cluster.model.clone(),
            cluster.records.to_string(),
            cluster.example.clone(),
        ]
    });
    with_head(&head, rows)
}

fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    std::iter::once(head).chain(rows).collect()
}

/// Writes the rows in aligned columns, the first of them being the head; nothing where it is alone.
fn write_table(text: &mut String, rows: &[Vec<String>]) -> fmt::Result {
    if rows.len() < 2 {
        return Ok(());
    }
    let shown = &rows[..rows.len().min(MAX_ROWS + 1)];
    let width = |column: usize| shown.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..rows[0].len()).map(|column| width(column).unwrap_or(0)).collect();
    writeln!(text)?;
    for row in shown {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    if shown.len() < rows.len() {
        writeln!(text, "and {} more", rows.len() - shown.len())?;
    }
    Ok(())
}

fn rate(rate: f64) -> String {
    format!("{rate:.2e}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::{Difference, Kind};
    use crate::outcome::Limits;
    use crate::record::Request;
    use crate::tally::{Finding, Fingerprint, Group};

    const REQUEST: &str =
        r#"{"method": "POST", "path": "/", "content_type": null, "body": "", "encoding": "utf8"}"#;

    fn tally(models: &[&str]) -> Tally {
        let request: Request = serde_json::from_str(REQUEST).unwrap();
        let mut tally = Tally::default();
        for (line, model) in (1..).zip(models) {
            tally.add(&Finding {
                line,
                id: format!("id-{line}"),
                group: Group { model: (*model).to_owned(), client: None },
                fingerprint: Fingerprint::of("spam", &request),
                differences: [Difference::whole("response", Kind::Error)].into(),
                failure: Some(format!("reason {line}")),
            });
        }
        tally
    }

    fn text_of(tally: &Tally) -> String {
        let limits = Limits { allow: 0, max_rate: 0.001, confidence: 0.95 };
        text(&Verdict::of(tally, limits), tally)
    }

    #[test]
    fn groups_and_differences_stand_in_aligned_columns() {
        let expected = "\
broken: 2 of 2 records differ
mismatch rate over 1 distinct requests: at most 1.00e0 at 95 % confidence
first call without an answer, line 1: reason 1

model      client  records  mismatches  rate at most  outcome
offensive  -       1        1           1.00e0        broken
spam       -       1        1           1.00e0        broken

field     kind   model      records  example
response  error  offensive  1        id-2
response  error  spam       1        id-1
";
        assert_eq!(text_of(&tally(&["spam", "offensive"])), expected);
    }

    #[test]
    fn long_tables_are_cut_and_say_so() {
        let models: Vec<_> = (0..23).map(|n| format!("model-{n}")).collect();
        let models: Vec<_> = models.iter().map(String::as_str).collect();
        assert_eq!(text_of(&tally(&models)).matches("and 3 more\n").count(), 2);
    }

    #[test]
    fn a_replay_of_nothing_has_no_tables() {
        assert!(text_of(&tally(&[])).starts_with("unproven: 0 of 0 records differ\n"));
        assert_eq!(text_of(&tally(&[])).lines().count(), 2);
    }
}
