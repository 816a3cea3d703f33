//! The differences, each of which opens to what is known about it.

use super::markup::Markup;
use crate::report::figures::{self, count, records};
use crate::report::{ClusterDetail, Feature, Report, words};

/// How many clusters of a sort are on the page; `report.json` holds all.
pub(super) const MAX_CLUSTERS: usize = 200;
/// How many clients of a cluster are listed.
const MAX_CLIENTS: usize = 20;
/// How many characters of a name are shown.
const MAX_NAME: usize = 120;

/// The clusters on the page, with their places in the report.
pub(super) fn shown(report: &Report) -> impl Iterator<Item = (usize, &ClusterDetail)> {
    let mut of_sort = [0; 3];
    report.clusters.iter().enumerate().filter(move |(_, cluster)| {
        let number = &mut of_sort[Sort::of(cluster) as usize];
        *number += 1;
        *number <= MAX_CLUSTERS
    })
}

/// Whether a difference needs to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Mismatch,
    Tolerated,
    TextOnly,
}

impl Sort {
    fn of(cluster: &ClusterDetail) -> Self {
        match &cluster.permit {
            None => Self::Mismatch,
            Some(crate::difference::Permit::TextOnly) => Self::TextOnly,
            Some(_) => Self::Tolerated,
        }
    }
}

/// What nothing permits.
pub(super) fn mismatches(page: &mut Markup, report: &Report) {
    const INTRODUCTION: &str = "Records of one model that differ in the same way; a record with \
        several differences is in several. Each opens to an example.";
    let number = report.mismatches().count();
    section(page, report, (Sort::Mismatch, "mismatches", "Mismatches", INTRODUCTION), number);
}

/// What a rule, the legacy system's noise, or equality of the values permits.
pub(super) fn permitted(page: &mut Markup, report: &Report) {
    const TOLERATED: &str = "Differences that a rule permits, or that the legacy system itself shows \
        when it is asked again. They are no mismatches.";
    const TEXT_ONLY: &str = "The values are equal and only their text differs, such as the format of \
        a number or the order of members. They are no mismatches.";
    let number = report.tolerated().count();
    section(page, report, (Sort::Tolerated, "tolerated", "Tolerated", TOLERATED), number);
    let number = report.text_only().count();
    section(page, report, (Sort::TextOnly, "text-only", "Text only", TEXT_ONLY), number);
}

type Heading = (Sort, &'static str, &'static str, &'static str);

fn section(page: &mut Markup, report: &Report, heading: Heading, number: usize) {
    let (sort, id, title, introduction) = heading;
    if number == 0 {
        return;
    }
    page.raw("<section class=\"clusters\" id=\"").raw(id).raw("\">\n<h2>").raw(title);
    page.raw(" <span class=\"count\">").text(count(number as u64)).raw("</span></h2>\n<p>");
    page.raw(introduction)
        .raw("</p>\n<div class=\"list\" data-filter=\"Filter by field, kind, model or client\">\n");
    let mut is_open = sort == Sort::Mismatch;
    for (place, cluster) in shown(report).filter(|(_, cluster)| Sort::of(cluster) == sort) {
        self::cluster(page, place, cluster, is_open);
        is_open = false;
    }
    page.raw("</div>\n");
    if number > MAX_CLUSTERS {
        let rest = count((number - MAX_CLUSTERS) as u64);
        page.raw("<p class=\"more\">and ").text(rest).raw(" more, in report.json</p>\n");
    }
    page.raw("</section>\n");
}

fn cluster(page: &mut Markup, place: usize, cluster: &ClusterDetail, is_open: bool) {
    page.raw("<details class=\"cluster\" id=\"c").text(place).raw("\" data-cluster=\"").text(place);
    page.raw(if is_open { "\" open>\n" } else { "\">\n" });
    summary(page, cluster);
    page.raw("<div class=\"body\">\n");
    if let Some(remedy) = words::remedy(cluster.kind).filter(|_| cluster.permit.is_none()) {
        page.raw("<p class=\"remedy\">").sentence(remedy).raw("</p>\n");
    }
    if cluster.noise > 0 {
        page.raw("<p class=\"remedy\">").text(words::noise_sentence(cluster)).raw("</p>\n");
    }
    page.raw("<div class=\"columns\">\n");
    features(page, &cluster.features);
    clients(page, cluster);
    distances(page, cluster);
    page.raw("</div>\n");
    example(page, cluster);
    page.raw("</div>\n</details>\n");
}

fn summary(page: &mut Markup, cluster: &ClusterDetail) {
    page.raw("<summary><span class=\"amount\"><b>").text(count(cluster.records)).raw("</b> ");
    page.text(if cluster.records == 1 { "record" } else { "records" }).raw("</span>");
    page.raw("<span class=\"what\"><code>").name(&cluster.field, MAX_NAME).raw("</code> <span>");
    page.text(words::difference(cluster.kind)).raw("</span></span><span class=\"tags\">");
    page.raw("<span class=\"chip\">").text(cluster.kind.name()).raw("</span>");
    if let Some(permit) = &cluster.permit {
        page.raw("<span class=\"chip\">").name(&words::permit(permit), MAX_NAME).raw("</span>");
    }
    page.raw("</span><span class=\"of\">").name(&cluster.model, MAX_NAME).raw(" <span>");
    page.text(figures::percent(cluster.share)).raw(" of its records</span></span></summary>\n");
}

fn features(page: &mut Markup, features: &[Feature]) {
    if features.is_empty() {
        return;
    }
    page.raw("<section class=\"features\"><h3>What sets these records apart</h3>\n<table><thead><tr><td></td>");
    page.raw("<th scope=\"col\">these</th><th scope=\"col\">others</th></tr></thead><tbody>\n");
    for feature in features {
        page.raw("<tr><th scope=\"row\">").name(&feature.name, MAX_NAME).raw("</th>");
        share(page, feature.inside, "inside");
        share(page, feature.outside, "outside");
        page.raw("</tr>\n");
    }
    page.raw("</tbody></table></section>\n");
}

fn share(page: &mut Markup, share: f64, class: &'static str) {
    page.raw("<td><svg class=\"bar\" width=\"100%\" height=\"6\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" height=\"6\" rx=\"3\"/><rect class=\"fill ");
    page.raw(class).raw("\" height=\"6\" rx=\"3\" width=\"").text(share.clamp(0.0, 1.0) * 100.0);
    page.raw("%\"/></svg> ").text(figures::percent(share)).raw("</td>");
}

fn clients(page: &mut Markup, cluster: &ClusterDetail) {
    if cluster.clients.is_empty() {
        return;
    }
    let mut clients: Vec<_> = cluster.clients.iter().collect();
    clients.sort_by_key(|(_, records)| std::cmp::Reverse(**records));
    page.raw("<section><h3>Clients</h3>\n<ul class=\"plain\">\n");
    for (client, number) in clients.iter().take(MAX_CLIENTS) {
        page.raw("<li>")
            .name(client, MAX_NAME)
            .raw(" <span>")
            .text(records(**number))
            .raw("</span></li>\n");
    }
    if clients.len() > MAX_CLIENTS {
        page.raw("<li>and ").text(clients.len() - MAX_CLIENTS).raw(" more</li>\n");
    }
    page.raw("</ul></section>\n");
}

/// How far numbers are apart; the script adds a histogram.
fn distances(page: &mut Markup, cluster: &ClusterDetail) {
    let Some(distances) = &cluster.distances else { return };
    let [least, most] = [distances.min, distances.max].map(figures::distance);
    page.raw("<section class=\"distances\"><h3>How far apart</h3>\n<p>").text(least).raw(" to ");
    page.text(most).raw("</p></section>\n");
}

/// The smallest record; the script adds the request and both replies.
fn example(page: &mut Markup, cluster: &ClusterDetail) {
    page.raw("<section class=\"example\"><h3>Example: record ");
    page.text(count(cluster.example.sequence + 1)).raw(", <code>");
    page.name(cluster.example.id(), MAX_NAME).raw("</code></h3>\n</section>\n");
    let others = cluster.ids.iter().filter(|id| *id != cluster.example.id());
    let mut others = others.peekable();
    if others.peek().is_some() {
        page.raw("<p class=\"ids\">Others: ");
        others.for_each(|id| {
            page.raw("<code>").name(id, MAX_NAME).raw("</code> ");
        });
        page.raw("</p>\n");
    }
}
