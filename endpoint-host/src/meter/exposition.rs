//! The numbers as Prometheus's text, under exactly the names that CloudWatch has for them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::histogram::Histogram;
use super::{Counters, Labels};
use crate::pool::Pool;

/// A counter's name, what it counts, and where it is.
type Count = (&'static str, &'static str, fn(&Counters) -> &AtomicU64);

const COUNTS: [Count; 7] = [
    ("Invocations", "Calls sent to the variant.", |c| &c.invocations),
    ("Invocation4XXErrors", "Calls that the model answered with 4xx.", |c| &c.errors_4xx),
    ("Invocation5XXErrors", "Calls that the model answered with 5xx.", |c| &c.errors_5xx),
    ("InvocationModelErrors", "Calls that the model did not answer with 2xx.", |c| &c.model_errors),
    ("InvocationsThrottled", "Calls refused because too many were in flight.", |c| &c.throttles),
    ("DataCaptureDropped", "Calls that were to be captured and were not.", |c| &c.captures_dropped),
    ("ShadowCopiesDropped", "Copies that the shadow variant was to get and did not.", |c| {
        &c.copies_dropped
    }),
];

/// A histogram's name, what it measures, and where it is.
type Times = (&'static str, &'static str, fn(&Counters) -> &Histogram);

const TIMES: [Times; 3] = [
    ("ModelLatency", "Microseconds that the container took.", |c| &c.model_latency),
    ("OverheadLatency", "Microseconds that the host took beside it.", |c| &c.overhead_latency),
    ("ModelSetupTime", "Microseconds that calls waited for a container to start.", |c| {
        &c.setup_time
    }),
];

/// A gauge's name, what it shows, and how it is found out; nothing where nothing runs.
type Level = (&'static str, &'static str, fn(&Counters) -> f64);

const LEVELS: [Level; 3] = [
    ("MemoryUtilization", "Percent of their memory that the containers use.", memory_percent),
    (
        "ServerlessConcurrentExecutionsUtilization",
        "Calls in flight, as a share of MaxConcurrency.",
        concurrency_share,
    ),
    ("Containers", "Containers that run.", containers),
];

/// All numbers of these variants.
pub(super) fn write(variants: &[(Labels, Arc<Counters>)]) -> String {
    let mut text = String::new();
    for (name, help, count) in COUNTS {
        head(&mut text, name, help, "counter");
        for (labels, counters) in variants {
            line(&mut text, name, labels, count(counters).load(Relaxed));
        }
    }
    for (name, help, histogram) in TIMES {
        head(&mut text, name, help, "histogram");
        for (labels, counters) in variants {
            times(&mut text, name, labels, histogram(counters));
        }
    }
    for (name, help, level) in LEVELS {
        head(&mut text, name, help, "gauge");
        for (labels, counters) in variants {
            line(&mut text, name, labels, level(counters));
        }
    }
    text
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    append(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(text: &mut String, name: &str, labels: &Labels, value: impl std::fmt::Display) {
    let Labels { endpoint, variant } = labels;
    append(
        text,
        format_args!("{name}{{EndpointName=\"{endpoint}\",VariantName=\"{variant}\"}} {value}\n"),
    );
}

fn times(text: &mut String, name: &str, labels: &Labels, histogram: &Histogram) {
    let Labels { endpoint, variant } = labels;
    let mut bucket = |bound: &dyn std::fmt::Display, count: u64| {
        append(
            text,
            format_args!(
                "{name}_bucket{{EndpointName=\"{endpoint}\",VariantName=\"{variant}\",le=\"{bound}\"}} {count}\n"
            ),
        );
    };
    let (count, sum_us) = histogram.totals();
    histogram.cumulative().for_each(|(bound, count)| bucket(&bound, count));
    bucket(&"+Inf", count);
    line(text, &format!("{name}_sum"), labels, sum_us);
    line(text, &format!("{name}_count"), labels, count);
}

fn append(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("writing into memory does not fail");
}

fn memory_percent(counters: &Counters) -> f64 {
    let (mut used, mut allowed) = (0, 0);
    for pool in counters.pools() {
        let size_mb = u64::from(pool.launch.variant.serverless_config.memory_size_in_mb);
        used += pool.memory_bytes();
        allowed += pool.containers().total() as u64 * size_mb * 1024 * 1024;
    }
    if allowed == 0 { 0.0 } else { 100.0 * used as f64 / allowed as f64 }
}

fn concurrency_share(counters: &Counters) -> f64 {
    let share = |pool: &Arc<Pool>| {
        let most = pool.launch.variant.serverless_config.max_concurrency;
        pool.calls() as f64 / f64::from(most)
    };
    counters.pools().iter().map(share).sum()
}

fn containers(counters: &Counters) -> f64 {
    counters.pools().iter().map(|pool| pool.containers().total()).sum::<usize>() as f64
}
