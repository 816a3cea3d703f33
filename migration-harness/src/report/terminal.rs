//! The report as text for a terminal or a log.

use std::io::{self, IsTerminal, Write};

use console::Term;

use super::figures::{self, count, short};
use super::table::{self, Column};
use super::{ClusterDetail, Latencies, Report, words};
use crate::difference::Permit;
use crate::outcome::Outcome;
use crate::verdict::GroupVerdict;

/// How many rows a table has at most; `report.json` holds all of them.
const MAX_ROWS: usize = 20;
/// How many characters of a name are shown.
const MAX_NAME: usize = 200;
/// The width where there is no terminal.
const WIDTH: usize = 100;
/// Nothing is made to fit a narrower terminal.
const MIN_WIDTH: usize = 40;

/// How text may look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Columns of characters.
    pub(crate) width: usize,
    /// Whether there may be colours.
    pub(crate) has_colours: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: WIDTH, has_colours: false }
    }
}

impl Style {
    /// What standard output can show, unless COLUMNS and NO_COLOR say otherwise.
    fn of_standard_output() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let told = set("COLUMNS").and_then(|columns| columns.parse().ok());
        let seen = || Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let is_dumb = set("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            width: told.or_else(seen).unwrap_or(WIDTH).max(MIN_WIDTH),
            has_colours: io::stdout().is_terminal() && set("NO_COLOR").is_none() && !is_dumb,
        }
    }

    fn outcome(self, outcome: Outcome, text: &str) -> String {
        match outcome {
            Outcome::Parity => self.paint("1;32", text),
            Outcome::Unproven => self.paint("1;33", text),
            Outcome::Broken => self.paint("1;31", text),
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.has_colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Prints the report to standard output.
pub(crate) fn print(report: &Report) {
    // The report is in its folder; a closed terminal takes nothing from it.
    let _ = io::stdout().write_all(text(report, Style::of_standard_output()).as_bytes());
}

/// The report as text of several lines.
pub(crate) fn text(report: &Report, style: Style) -> String {
    let mut page = Page { style, text: String::new() };
    page.outcome(report);
    page.facts(report);
    page.clusters("mismatches", &report.mismatches().collect::<Vec<_>>());
    page.clusters("tolerated", &report.tolerated().collect::<Vec<_>>());
    page.clusters("text only", &report.text_only().collect::<Vec<_>>());
    page.groups(report);
    page.next_steps(report);
    page.text
}

struct Page {
    style: Style,
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Words in lines of the width, the later ones indented.
    fn wrapped(&mut self, first: &str, text: &str) {
        let indent = " ".repeat(first.chars().count());
        let (mut line, mut is_empty) = (first.to_owned(), true);
        for word in text.split(' ') {
            let width = console::measure_text_width(&line) + 1 + console::measure_text_width(word);
            if !is_empty && width > self.style.width {
                self.line(&line);
                (line, is_empty) = (indent.clone(), true);
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.line(&line);
    }

    fn outcome(&mut self, report: &Report) {
        let outcome = report.verdict.outcome;
        let name = self.style.outcome(outcome, outcome.name());
        // Not wrapped: the first line is what scripts look for.
        self.line(&format!("{name}: {}", words::headline(report)));
        self.wrapped("", &words::bound_sentence(report));
        words::warnings(report).iter().for_each(|warning| self.wrapped("", warning));
    }

    fn facts(&mut self, report: &Report) {
        let run = &report.run;
        let name = |text: &str| short(text, MAX_NAME);
        self.line("");
        self.fact("records", &name(&run.records));
        self.fact("target", &name(&run.target));
        for (label, value) in [("rules", &run.rules), ("noise", &run.noise), ("shard", &run.shard)]
        {
            if let Some(value) = value {
                self.fact(label, &name(value));
            }
        }
        let Some(timing) = &report.timing else { return };
        let seconds = figures::time(timing.seconds * 1e6);
        self.fact("calls", &format!("in {seconds}, {:.0} a second", timing.rate));
        let statuses = timing.statuses.iter();
        let statuses = statuses.map(|(status, calls)| format!("{status}: {}", count(*calls)));
        self.fact("statuses", &statuses.collect::<Vec<_>>().join(", "));
        self.fact("latency", &latency(&timing.service));
        if let Some(captured) = &timing.captured {
            self.fact("captured", &latency(captured));
        }
    }

    fn fact(&mut self, label: &str, value: &str) {
        self.wrapped(&format!("{label:<8}  "), value);
    }

    fn title(&mut self, title: &str, number: usize) {
        let title = self.style.bold(title);
        self.line("");
        self.line(&format!("{title} ({})", count(number as u64)));
    }

    /// A table of clusters, and below it what is known about each that needs to be mended.
    fn clusters(&mut self, title: &str, clusters: &[&ClusterDetail]) {
        if clusters.is_empty() {
            return;
        }
        self.title(title, clusters.len());
        let columns = [
            Column::Right("records"),
            Column::Right("share"),
            Column::Left("model"),
            Column::Left("field"),
            Column::Left("difference"),
            Column::Left("example"),
        ];
        let shown = &clusters[..clusters.len().min(MAX_ROWS)];
        let rows: Vec<_> = shown.iter().map(|cluster| cluster_row(cluster)).collect();
        let mut lines = table::lines(&columns, &rows, self.style.width).into_iter();
        self.head(lines.next());
        for (line, cluster) in lines.zip(shown) {
            self.line(&line);
            self.notes(cluster);
        }
        self.rest(clusters.len(), shown.len());
    }

    fn head(&mut self, head: Option<String>) {
        if let Some(head) = head {
            let head = self.style.dim(&head);
            self.line(&head);
        }
    }

    fn notes(&mut self, cluster: &ClusterDetail) {
        const INDENT: &str = "         ";
        if let Some(permit) = &cluster.permit {
            if *permit != Permit::TextOnly {
                self.wrapped(
                    INDENT,
                    &format!("permitted: {}", short(&words::permit(permit), MAX_NAME)),
                );
            }
            return;
        }
        for feature in &cluster.features {
            let (inside, outside) = (feature.inside, feature.outside);
            self.wrapped(
                INDENT,
                &format!(
                    "{}: {} of these, {} of the others",
                    short(&feature.name, MAX_NAME),
                    figures::percent(inside),
                    figures::percent(outside),
                ),
            );
        }
        if let Some(distances) = &cluster.distances {
            let [least, most] = [distances.min, distances.max].map(figures::distance);
            self.wrapped(INDENT, &format!("apart by {least} to {most}"));
        }
        if cluster.noise > 0 {
            self.wrapped(INDENT, &words::noise_sentence(cluster));
        }
    }

    fn groups(&mut self, report: &Report) {
        let groups = report.groups_worst_first();
        if groups.is_empty() {
            return;
        }
        self.title("models and clients", groups.len());
        let columns = [
            Column::Left("outcome"),
            Column::Left("model"),
            Column::Left("client"),
            Column::Right("records"),
            Column::Right("differ"),
            Column::Right("rate at most"),
        ];
        let shown = &groups[..groups.len().min(MAX_ROWS)];
        let row = |group: &&GroupVerdict| {
            let client = group.client.as_deref().unwrap_or("-");
            let rate = figures::bound(group.mismatch_rate);
            let numbers = [count(group.records), count(group.mismatches), rate];
            let words =
                [group.outcome.name(), &group.model, client].map(|text| short(text, MAX_NAME));
            words.into_iter().chain(numbers).collect()
        };
        let rows: Vec<_> = shown.iter().map(row).collect();
        let mut lines = table::lines(&columns, &rows, self.style.width).into_iter();
        self.head(lines.next());
        for (line, group) in lines.zip(shown) {
            let rest = &line[group.outcome.name().len()..];
            let line = self.style.outcome(group.outcome, group.outcome.name()) + rest;
            self.line(&line);
        }
        self.rest(groups.len(), shown.len());
    }

    fn rest(&mut self, all: usize, shown: usize) {
        if shown < all {
            self.line(&format!("and {} more, in report.json", count((all - shown) as u64)));
        }
    }

    fn next_steps(&mut self, report: &Report) {
        let title = self.style.bold("what to do next");
        self.line("");
        self.line(&title);
        for step in words::next_steps(report) {
            self.wrapped("- ", &step);
        }
    }
}

fn cluster_row(cluster: &ClusterDetail) -> Vec<String> {
    let name = |text: &str| short(text, MAX_NAME);
    vec![
        count(cluster.records),
        figures::percent(cluster.share),
        name(&cluster.model),
        name(&cluster.field),
        format!("{}: {}", cluster.kind.name(), words::difference(cluster.kind)),
        name(cluster.example.id()),
    ]
}

fn latency(latencies: &Latencies) -> String {
    let Latencies { p50_us, p99_us, max_us, .. } = latencies;
    let [half, most, longest] = [p50_us, p99_us, max_us].map(|us| figures::time(*us as f64));
    format!("{half} half of them, {most} 99 in 100, {longest} the longest")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn report() -> Report {
        serde_json::from_value(fixture::broken()).unwrap()
    }

    #[test]
    fn no_line_is_wider_than_a_narrow_terminal_but_the_first() {
        let text = text(&report(), Style { width: 72, has_colours: false });
        for line in text.lines().skip(1) {
            assert!(console::measure_text_width(line) <= 72, "{line}");
        }
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        assert!(!text(&report(), Style::default()).contains('\x1b'));
        let coloured = text(&report(), Style { width: 100, has_colours: true });
        assert!(coloured.starts_with("\x1b[1;31mbroken\x1b[0m: "));
    }
}
