//! How long calls took, and which statuses came back.

use super::markup::Markup;
use crate::report::figures::{self, count, percent};
use crate::report::{Latencies, Report, Timing};

/// Tables of times and statuses; the script adds plots.
pub(super) fn section(page: &mut Markup, report: &Report) {
    let Some(timing) = &report.timing else { return };
    page.raw("<section class=\"card\" id=\"latency\">\n<h2>Latency and statuses</h2>\n<p>");
    page.text(sentence(timing)).raw("</p>\n<div class=\"plot\" data-plot=\"latency\"></div>\n");
    page.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Percentiles\"><table class=\"percentiles\"><thead><tr><td></td><th scope=\"col\">half</th><th scope=\"col\">90 %</th><th scope=\"col\">99 %</th><th scope=\"col\">99.9 %</th><th scope=\"col\">longest</th><th scope=\"col\">mean</th></tr></thead>\n<tbody>\n");
    row(page, "captured", "Captured", timing.captured.as_ref());
    row(page, "service", "From the actual send", Some(&timing.service));
    row(page, "response", "From the intended send", Some(&timing.response));
    row(page, "lateness", "Sent later than intended by", Some(&timing.lateness));
    page.raw("</tbody></table></div>\n");
    statuses(page, timing);
    page.raw("</section>\n");
}

fn sentence(timing: &Timing) -> String {
    format!(
        "{} calls in {}, {:.0} a second. What a caller waits runs from the moment at which a request \
         should have been sent.",
        count(timing.service.count),
        figures::time(timing.seconds * 1e6),
        timing.rate,
    )
}

fn row(page: &mut Markup, class: &'static str, title: &'static str, of: Option<&Latencies>) {
    let Some(latencies) = of.filter(|latencies| latencies.count > 0) else { return };
    let Latencies { p50_us, p90_us, p99_us, p999_us, max_us, mean_us, .. } = *latencies;
    page.raw("<tr><th scope=\"row\"><i class=\"key ")
        .raw(class)
        .raw("\"></i>")
        .raw(title)
        .raw("</th>");
    for us in
        [p50_us, p90_us, p99_us, p999_us, max_us].map(|us| us as f64).into_iter().chain([mean_us])
    {
        page.raw("<td class=\"number\">").text(figures::time(us)).raw("</td>");
    }
    page.raw("</tr>\n");
}

fn statuses(page: &mut Markup, timing: &Timing) {
    let all: u64 = timing.statuses.values().sum();
    if all == 0 {
        return;
    }
    page.raw("<h3>Statuses of the target</h3>\n<ul class=\"statuses\">\n");
    for (status, calls) in &timing.statuses {
        page.raw("<li class=\"s").text(status / 100).raw("\"><b>").text(status).raw("</b> ");
        page.text(count(*calls)).raw(" <span>").text(percent(*calls as f64 / all as f64));
        page.raw("</span></li>\n");
    }
    page.raw("</ul>\n");
}
