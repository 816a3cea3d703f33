//! The table of models and clients.

use super::markup::Markup;
use super::verdict::place;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::report::figures::{self, count};
use crate::verdict::GroupVerdict;

/// How many groups are on the page; `report.json` holds all.
const MAX_GROUPS: usize = 2_000;
/// How many characters of a name are shown.
const MAX_NAME: usize = 120;

/// One row for each model and client, the worst first.
pub(super) fn table(page: &mut Markup, report: &Report) {
    let groups = report.groups_worst_first();
    page.raw("<section class=\"card\" id=\"groups\">\n<h2>Models and clients</h2>\n<p>");
    page.text(sentence(report)).raw("</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Models and clients\">");
    page.raw("<table class=\"sortable\" data-filter=\"Filter by model, client or outcome\">\n<thead><tr>");
    page.raw(
        "<th scope=\"col\">outcome</th><th scope=\"col\">model</th><th scope=\"col\">client</th>",
    );
    page.raw("<th scope=\"col\" class=\"number\">records</th><th scope=\"col\" class=\"number\">differ</th>");
    page.raw("<th scope=\"col\" class=\"number\">rate at most</th><th class=\"wide\" aria-label=\"the same as a bar\"></th>");
    page.raw("</tr></thead>\n<tbody>\n");
    groups.iter().take(MAX_GROUPS).for_each(|group| row(page, report, group));
    page.raw("</tbody>\n</table></div>\n");
    if groups.len() > MAX_GROUPS {
        let rest = count((groups.len() - MAX_GROUPS) as u64);
        page.raw("<p class=\"more\">and ").text(rest).raw(" more, in report.json</p>\n");
    }
    page.raw("</section>\n");
}

fn sentence(report: &Report) -> String {
    let number = |outcome| count(report.groups_of(outcome) as u64);
    format!(
        "Each on its own: {} broken, {} unproven, {} at parity. The line in each bar is the rate that is asked for, {}.",
        number(Outcome::Broken),
        number(Outcome::Unproven),
        number(Outcome::Parity),
        figures::limit(report.limits.max_rate),
    )
}

fn row(page: &mut Markup, report: &Report, group: &GroupVerdict) {
    let outcome = group.outcome.name();
    page.raw("<tr><td data-value=\"").text(group.outcome.exit_code()).raw("\"><span class=\"chip ");
    page.text(outcome)
        .raw("\">")
        .text(outcome)
        .raw("</span></td><td>")
        .name(&group.model, MAX_NAME);
    page.raw("</td><td>");
    match &group.client {
        Some(client) => page.name(client, MAX_NAME),
        None => page.raw("<span class=\"none\">none</span>"),
    };
    page.raw("</td>");
    number(page, group.records as f64, &count(group.records));
    number(page, group.mismatches as f64, &count(group.mismatches));
    number(page, group.mismatch_rate, &figures::bound(group.mismatch_rate));
    bar(page, report, group);
    page.raw("</tr>\n");
}

fn number(page: &mut Markup, value: f64, text: &str) {
    page.raw("<td class=\"number\" data-value=\"").text(value).raw("\">").text(text).raw("</td>");
}

fn bar(page: &mut Markup, report: &Report, group: &GroupVerdict) {
    let [bound, limit] = [group.mismatch_rate, report.limits.max_rate]
        .map(|rate| format!("{:.1}%", place(rate, report)));
    page.raw("<td class=\"wide\"><svg class=\"bar\" width=\"100%\" height=\"14\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" height=\"6\" y=\"4\" rx=\"3\"/><rect class=\"fill ");
    page.text(group.outcome.name()).raw("\" height=\"6\" y=\"4\" rx=\"3\" width=\"").text(bound);
    page.raw("\"/><line class=\"limit\" y1=\"0\" y2=\"14\" x1=\"").text(&limit).raw("\" x2=\"");
    page.text(&limit).raw("\"/></svg></td>");
}
