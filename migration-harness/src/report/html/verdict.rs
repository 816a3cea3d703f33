//! The page's first and last words: the outcome, what it means, and what was compared.

use super::markup::Markup;
use crate::outcome::{Looks, Outcome};
use crate::report::figures::{self, count};
use crate::report::{Report, words};

/// How many characters of a name are shown.
const MAX_NAME: usize = 300;
/// The left end of a scale of rates, where no bound or limit is smaller.
const SMALLEST_RATE: f64 = 1e-6;

/// The outcome, for whoever reads nothing else.
pub(super) fn banner(page: &mut Markup, report: &Report) {
    let verdict = &report.verdict;
    page.raw("<header class=\"banner ").text(verdict.outcome.name()).raw("\">\n<div>\n");
    page.raw("<p class=\"kicker\">Parity report</p>\n<h1>").raw(sign(verdict.outcome));
    page.text(title(verdict.outcome)).raw("</h1>\n<p class=\"lead\">");
    page.text(words::headline(report)).raw(".</p>\n");
    for warning in words::warnings(report) {
        page.raw("<p>").text(warning).raw("</p>\n");
    }
    page.raw("<dl class=\"figures\">\n");
    figure(page, "records", &count(verdict.records));
    figure(page, "distinct requests", &count(verdict.distinct));
    figure(page, "mismatches", &count(verdict.mismatches));
    figure(page, "mismatch rate at most", &figures::bound(verdict.bound.mismatch_rate));
    if let Some(timing) = &report.timing {
        figure(page, "calls a second", &count(timing.rate.round() as u64));
    }
    page.raw("</dl>\n</div>\n</header>\n");
}

fn figure(page: &mut Markup, title: &'static str, value: &str) {
    page.raw("<div><dt>").raw(title).raw("</dt><dd>").text(value).raw("</dd></div>\n");
}

fn title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Parity => "Parity",
        Outcome::Unproven => "Unproven",
        Outcome::Broken => "Broken",
    }
}

/// A sign beside the word, since colours alone tell some people nothing.
fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Parity => {
            "<svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"12\"/><path d=\"M6.5 12.5l3.8 3.8 7.2-8\"/></svg>"
        }
        Outcome::Unproven => {
            "<svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"12\"/><path d=\"M8.7 9.2a3.3 3.3 0 1 1 4.6 3c-.9.4-1.3 1-1.3 2M12 17.6v.1\"/></svg>"
        }
        Outcome::Broken => {
            "<svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"12\"/><path d=\"M8 8l8 8M16 8l-8 8\"/></svg>"
        }
    }
}

/// What the outcome means, how the bound came about, and what to do next.
pub(super) fn meaning(page: &mut Markup, report: &Report) {
    page.raw("<div class=\"pair\">\n<section class=\"card\">\n<h2>What to do next</h2>\n<ol>\n");
    for step in words::next_steps(report) {
        page.raw("<li>").sentence(&step).raw("</li>\n");
    }
    page.raw("</ol>\n</section>\n<section class=\"card\">\n<h2>What this means</h2>\n<p>");
    page.text(words::meaning(report.verdict.outcome)).raw(" ");
    page.text(words::bound_sentence(report)).raw("</p>\n");
    scale(page, report);
    page.raw("<details class=\"why\"><summary>How the bound came about</summary>\n<p>");
    page.text(how(report)).raw("</p>\n");
    if let Some(others) = words::other_bounds(report) {
        page.raw("<p>").text(others).raw("</p>\n");
    }
    page.raw("</details>\n</section>\n</div>\n");
}

fn how(report: &Report) -> String {
    let (bound, distinct) = (&report.verdict.bound, count(report.verdict.distinct));
    let kind = match report.limits.looks {
        Looks::Once => "Clopper-Pearson bound",
        Looks::Anytime => "anytime-valid bound (a mixture of likelihood ratios)",
    };
    let often = match report.limits.looks {
        Looks::Once => "",
        Looks::Anytime => ", however often one looks",
    };
    format!(
        "It is the one-sided {kind} for {} of {distinct} distinct requests; one that \
         is repeated proves no more than the first. If more than {} of all such calls differed, a sample like this \
         one would show so few mismatches in less than {} of all cases{often}. That holds for calls like the \
         captured ones; of other calls it says nothing.",
        count(report.statistics.distinct_mismatches),
        figures::bound(bound.mismatch_rate),
        figures::percent(1.0 - bound.confidence),
    )
}

/// Where a rate stands on a logarithmic scale from the smallest to 1, in percents of its length.
pub(super) fn place(rate: f64, report: &Report) -> f64 {
    let smallest = smallest_rate(report).log10();
    ((rate.log10() - smallest) / -smallest * 100.0).clamp(0.0, 100.0)
}

/// A power of ten below whatever is shown.
fn smallest_rate(report: &Report) -> f64 {
    let rates = [report.verdict.bound.mismatch_rate, report.limits.max_rate];
    let least = rates.into_iter().filter(|rate| *rate > 0.0).fold(SMALLEST_RATE * 10.0, f64::min);
    10_f64.powf((least.log10() - 0.5).floor()).max(1e-12)
}

/// The rates that remain possible, beside the one that is asked for.
fn scale(page: &mut Markup, report: &Report) {
    let (bound, limit) = (report.verdict.bound.mismatch_rate, report.limits.max_rate);
    let percents = |place: f64| format!("{place:.2}%");
    let [bound_x, limit_x] = [bound, limit].map(|rate| place(rate, report));
    page.raw("<svg class=\"scale\" width=\"100%\" height=\"104\" role=\"img\" aria-label=\"");
    page.text(words::bound_sentence(report)).raw("\">\n");
    page.raw("<svg x=\"3%\" width=\"94%\" height=\"104\" overflow=\"visible\">\n");
    page.raw("<rect class=\"allowed\" y=\"26\" height=\"40\" width=\"").text(percents(limit_x));
    page.raw("\"/>\n<rect class=\"possible ").text(report.verdict.outcome.name());
    page.raw("\" y=\"38\" height=\"16\" rx=\"3\" width=\"").text(percents(bound_x)).raw("\"/>\n");
    ticks(page, report);
    let x = percents(limit_x);
    page.raw("<line class=\"limit\" y1=\"20\" y2=\"70\" x1=\"").text(&x).raw("\" x2=\"").text(&x);
    page.raw("\"/>\n");
    label(page, limit_x, "15", &format!("asked for: {}", figures::limit(limit)));
    label(page, bound_x, "102", &format!("possible: up to {}", figures::bound(bound)));
    page.raw("</svg>\n</svg>\n");
}

fn ticks(page: &mut Markup, report: &Report) {
    let decades = -smallest_rate(report).log10().round() as i32;
    page.raw("<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"66\" y2=\"66\"/>\n");
    for decade in 0..=decades {
        let rate = 10_f64.powi(-decade);
        let x = format!("{:.2}%", place(rate, report));
        page.raw("<line class=\"axis\" y1=\"66\" y2=\"71\" x1=\"")
            .text(&x)
            .raw("\" x2=\"")
            .text(&x);
        page.raw("\"/><text class=\"tick\" y=\"84\" x=\"").text(&x).raw("\">");
        page.text(if decade < 4 { rate.to_string() } else { format!("{rate:e}") }).raw("</text>\n");
    }
}

/// Text at a place on the scale that stays within it.
fn label(page: &mut Markup, place: f64, y: &'static str, text: &str) {
    let anchor = match place {
        place if place < 25.0 => "start",
        place if place > 75.0 => "end",
        _ => "middle",
    };
    page.raw("<text class=\"label\" y=\"").raw(y).raw("\" text-anchor=\"").raw(anchor);
    page.raw("\" x=\"").text(format_args!("{place:.2}%")).raw("\">").text(text).raw("</text>\n");
}

/// What was compared, when, and by which version.
pub(super) fn run(page: &mut Markup, report: &Report) {
    let run = &report.run;
    page.raw(
        "<section class=\"card\" id=\"run\">\n<h2>What was compared</h2>\n<dl class=\"facts\">\n",
    );
    fact(page, "command", &run.command);
    fact(page, "records", &run.records);
    fact(page, "target", &run.target);
    let optional = [("rules", &run.rules), ("noise", &run.noise), ("shard", &run.shard)];
    for (title, value) in optional {
        fact(page, title, value.as_deref().unwrap_or("none"));
    }
    fact(page, "began", &run.started_at.to_string());
    fact(page, "ended", &run.finished_at.to_string());
    fact(page, "taken up again", &format!("{} times", count(run.resumed)));
    fact(page, "version", &run.version);
    page.raw("</dl>\n</section>\n");
}

fn fact(page: &mut Markup, title: &'static str, value: &str) {
    page.raw("<div><dt>").raw(title).raw("</dt><dd>").name(value, MAX_NAME).raw("</dd></div>\n");
}
