//! The report as Markdown for the summaries of CI, which take a megabyte at most.

use serde_json::Value;

use super::figures::{self, count, cut, plain, short};
use super::{ClusterDetail, Latencies, Report, words};
use crate::outcome::Outcome;
use crate::verdict::GroupVerdict;

/// GitHub takes 1 MiB for a step; what else the step says needs room too.
const MAX_BYTES: usize = 900_000;
/// How many groups, and how many clusters of a sort, are listed.
const MAX_ROWS: usize = 100;
/// How many clusters are described at length.
const MAX_DETAILS: usize = 20;
/// How many characters of a name are shown.
const MAX_NAME: usize = 120;
/// How many characters of a body are shown.
const MAX_BODY: usize = 2_000;

/// The report as a document.
pub(super) fn text(report: &Report) -> String {
    let mut summary = Summary { text: String::new() };
    summary.add(&outcome(report));
    summary.add(&facts(report));
    summary.add(&clusters("Mismatches", &report.mismatches().collect::<Vec<_>>()));
    report.mismatches().take(MAX_DETAILS).for_each(|cluster| summary.add(&details(cluster)));
    summary.add(&groups(report));
    summary.add(&timing(report));
    summary.add(&clusters("Tolerated", &report.tolerated().collect::<Vec<_>>()));
    summary.add(&clusters("Text only", &report.text_only().collect::<Vec<_>>()));
    summary.text
}

struct Summary {
    text: String,
}

impl Summary {
    /// A part is there as a whole or not at all.
    fn add(&mut self, part: &str) {
        if self.text.len() + part.len() <= MAX_BYTES {
            self.text += part;
        }
    }
}

fn outcome(report: &Report) -> String {
    let sign = match report.verdict.outcome {
        Outcome::Parity => "✅",
        Outcome::Unproven => "⚠️",
        Outcome::Broken => "❌",
    };
    let warnings = words::warnings(report).into_iter().map(|warning| escaped(&warning));
    let steps = warnings.chain(words::next_steps(report)).map(|step| format!("- {step}\n"));
    format!(
        "## {sign} Parity: {}\n\n**{}.** {}\n\n{}\n",
        report.verdict.outcome.name(),
        words::headline(report),
        words::bound_sentence(report),
        steps.collect::<String>(),
    )
}

fn facts(report: &Report) -> String {
    let run = &report.run;
    let mut text = format!("{} against {}", name(&run.records), name(&run.target));
    for (label, value) in [("rules", &run.rules), ("noise", &run.noise), ("shard", &run.shard)] {
        if let Some(value) = value {
            text += &format!(", {label} {}", name(value));
        }
    }
    text + "\n\n"
}

fn clusters(title: &str, clusters: &[&ClusterDetail]) -> String {
    if clusters.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "### {title}\n\n| records | share | model | field | difference | permitted by |\n|--:|--:|---|---|---|---|\n"
    );
    for cluster in clusters.iter().take(MAX_ROWS) {
        let permit = cluster.permit.as_ref().map(words::permit);
        text += &row(&[
            count(cluster.records),
            figures::percent(cluster.share),
            name(&cluster.model),
            name(&cluster.field),
            format!(
                "{}: {}",
                cluster.kind.name().replace('_', " "),
                words::difference(cluster.kind)
            ),
            permit.map_or_else(String::new, |permit| escaped(&short(&permit, MAX_NAME))),
        ]);
    }
    text + &rest(clusters.len(), MAX_ROWS) + "\n"
}

/// One cluster, folded.
fn details(cluster: &ClusterDetail) -> String {
    let mut text = format!(
        "<details><summary>{} of {}: example {}</summary>\n\n",
        name(&cluster.field),
        name(&cluster.model),
        name(cluster.example.id()),
    );
    for (client, records) in cluster.clients.iter().take(MAX_DETAILS) {
        text += &format!("- client {}: {}\n", name(client), figures::records(*records));
    }
    for feature in cluster.features.iter().take(MAX_DETAILS) {
        let [inside, outside] = [feature.inside, feature.outside].map(figures::percent);
        text += &format!("- {}: {inside} of these, {outside} of the others\n", name(&feature.name));
    }
    if cluster.noise > 0 {
        text += &format!("- {}\n", words::noise_sentence(cluster));
    }
    if let Some(step) = words::remedy(cluster.kind) {
        text += &format!("- {step}\n");
    }
    let example = &cluster.example;
    text += &body("Request", &example.record["request"]["body"]);
    text += &body("Captured answer", answer(&example.record));
    text += &body("New answer", answer(&example.reply));
    text + "\n</details>\n\n"
}

/// The body, or why there is none.
fn answer(reply: &Value) -> &Value {
    let body = &reply["response"]["body"];
    if body.is_null() { &reply["error"] } else { body }
}

fn body(title: &str, body: &Value) -> String {
    let Some(text) = body.as_str() else { return String::new() };
    let shown = cut(text, MAX_BODY);
    let lines: Vec<_> = shown.lines().map(plain).collect();
    let note = if shown.len() < text.len() { ", cut" } else { "" };
    let fence = "`".repeat(longest_run_of_backticks(shown).max(2) + 1);
    format!("\n{title}{note}:\n\n{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run_of_backticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn groups(report: &Report) -> String {
    let groups = report.groups_worst_first();
    if groups.is_empty() {
        return String::new();
    }
    let broken = report.groups_of(Outcome::Broken);
    let unproven = report.groups_of(Outcome::Unproven);
    let mut text = format!(
        "<details><summary>{} models and clients: {broken} broken, {unproven} unproven</summary>\n\n",
        count(groups.len() as u64)
    );
    text += "| outcome | model | client | records | differ | rate at most |\n|---|---|---|--:|--:|--:|\n";
    groups.iter().take(MAX_ROWS).for_each(|group| text += &group_row(group));
    text + &rest(groups.len(), MAX_ROWS) + "\n</details>\n\n"
}

fn group_row(group: &GroupVerdict) -> String {
    row(&[
        group.outcome.name().to_owned(),
        name(&group.model),
        group.client.as_deref().map_or_else(String::new, name),
        count(group.records),
        count(group.mismatches),
        figures::bound(group.mismatch_rate),
    ])
}

fn timing(report: &Report) -> String {
    let Some(timing) = &report.timing else { return String::new() };
    let mut text = format!(
        "<details><summary>Latency: {:.0} calls a second</summary>\n\n| | half | 90 % | 99 % | 99.9 % | longest |\n|---|--:|--:|--:|--:|--:|\n",
        timing.rate
    );
    text += &latency_row("from the actual send", &timing.service);
    text += &latency_row("from the intended send", &timing.response);
    if let Some(captured) = &timing.captured {
        text += &latency_row("as captured", captured);
    }
    let statuses = timing.statuses.iter();
    let statuses = statuses.map(|(status, calls)| format!("{status}: {}", count(*calls)));
    text += &format!("\nStatuses: {}\n", statuses.collect::<Vec<_>>().join(", "));
    text + "\n</details>\n\n"
}

fn latency_row(title: &str, latencies: &Latencies) -> String {
    let Latencies { p50_us, p90_us, p99_us, p999_us, max_us, .. } = *latencies;
    let times = [p50_us, p90_us, p99_us, p999_us, max_us].map(|us| figures::time(us as f64));
    let cells: Vec<_> = std::iter::once(title.to_owned()).chain(times).collect();
    row(&cells)
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn rest(all: usize, most: usize) -> String {
    let rest = all.saturating_sub(most);
    if rest == 0 {
        String::new()
    } else {
        format!("\nand {} more, in report.json\n", count(rest as u64))
    }
}

/// A name from outside as code.
fn name(text: &str) -> String {
    format!("<code>{}</code>", escaped(&short(text, MAX_NAME)))
}

/// Text that is nothing but text to a reader of Markdown: no tag, link, mention or table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | ',' | '-' | '/' => escaped.push(c),
            // A link is made of `www.` alone.
            '.' if !escaped.to_ascii_lowercase().ends_with("www") => escaped.push(c),
            c if c.is_ascii_punctuation() => escaped += &format!("&#{};", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_more_than_text() {
        let hostile = "|`<b>@you www.x.y http://z";
        assert_eq!(escaped(hostile), "&#124;&#96;&#60;b&#62;&#64;you www&#46;x.y http&#58;//z");
    }

    #[test]
    fn a_body_can_not_end_its_block() {
        let text = body("Request", &Value::from("a\n````\n<b>"));
        assert_eq!(text, "\nRequest:\n\n`````text\na\n````\n<b>\n`````\n");
    }
}
