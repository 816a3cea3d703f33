//! Metrics as text: in the OpenMetrics form when asked for, else in Prometheus's older one.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// A scrape's answer.
pub(crate) struct Exposition {
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

/// Writes all metrics in the form that `accept` asks for.
pub(crate) fn write(registry: &Registry, accept: Option<&str>) -> Exposition {
    let mut text = String::new();
    encode(&mut text, registry).expect("writing into memory can't fail");
    if accept.is_some_and(wants_open_metrics) {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return Exposition { content_type, text };
    }
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    Exposition { content_type, text: plain(&text) }
}

/// Prometheus names it first; a browser or `curl` does not name it at all.
fn wants_open_metrics(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(OPEN_METRICS));
        is_named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The older form names a counter as its samples are named, and knows neither units nor an end.
fn plain(open_metrics: &str) -> String {
    let mut plain = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        let of_counter = counter(line).or_else(|| lines.peek().and_then(|next| counter(next)));
        match of_counter.filter(|_| line.starts_with("# ")) {
            Some(name) => plain += &line.replacen(name, &format!("{name}_total"), 1),
            None => plain += line,
        }
        plain.push('\n');
    }
    plain
}

/// The name of the counter that a line describes.
fn counter(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_names_counters_by_their_samples() {
        let open_metrics = "# HELP a_b Help of a_b.\n# TYPE a_b counter\na_b_total{c=\"d\"} 1\n\
                            # HELP e_seconds E.\n# TYPE e_seconds gauge\n# UNIT e_seconds seconds\n\
                            e_seconds 0.5\n# EOF\n";
        let expected = "# HELP a_b_total Help of a_b.\n# TYPE a_b_total counter\na_b_total{c=\"d\"} 1\n\
                        # HELP e_seconds E.\n# TYPE e_seconds gauge\ne_seconds 0.5\n";
        assert_eq!(plain(open_metrics), expected);
    }

    #[test]
    fn only_a_scraper_that_names_open_metrics_gets_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1";
        assert!(wants_open_metrics(prometheus));
        assert!(!wants_open_metrics("*/*"));
        assert!(!wants_open_metrics("text/plain, application/openmetrics-text; q=0"));
    }
}
