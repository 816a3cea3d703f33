//! The report as one page for the browser, which needs nothing but itself.
//!
//! The verdict and the tables are there without scripts; a script of the page's own adds plots,
//! examples side by side, sorting and filtering. Only that script can run: its digest is in the
//! page's policy, and what comes from outside is text to it.

mod markup;
mod verdict;
mod clusters;
mod groups;
mod timing;
mod data;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Report, words};
use markup::Markup;

/// How the page looks.
const STYLE: &str = include_str!("html/page.css");
/// What the page does.
const SCRIPT: &str = include_str!("html/page.js");

/// The report as a page.
pub(super) fn text(report: &Report) -> String {
    let mut page = Markup::default();
    head(&mut page, report);
    page.raw("<body>\n");
    verdict::banner(&mut page, report);
    page.raw("<main>\n");
    verdict::meaning(&mut page, report);
    clusters::mismatches(&mut page, report);
    groups::table(&mut page, report);
    timing::section(&mut page, report);
    clusters::permitted(&mut page, report);
    verdict::run(&mut page, report);
    page.raw("</main>\n<script type=\"application/json\" id=\"data\">");
    page.json(&data::of(report));
    page.raw("</script>\n<script>").raw(SCRIPT).raw("</script>\n</body>\n</html>\n");
    page.into_text()
}

fn head(page: &mut Markup, report: &Report) {
    let outcome = report.verdict.outcome.name();
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"").text(policy()).raw("\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.raw("<meta name=\"referrer\" content=\"no-referrer\">\n");
    page.raw("<link rel=\"icon\" href=\"data:,\">\n<title>");
    page.text(format_args!("{outcome}: {}", words::headline(report)));
    page.raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n");
}

/// Nothing is fetched, and no script or style but the page's own is obeyed.
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let (script, style) = (digest(SCRIPT), digest(STYLE));
    format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; \
         img-src data:; base-uri 'none'; form-action 'none'"
    )
}
