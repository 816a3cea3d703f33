//! The report as JUnit XML: a test case for each cluster of mismatches and for each group, never
//! one for each record.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};

use super::figures::{self, count, records, short};
use super::{ClusterDetail, Report, words};
use crate::outcome::Outcome;
use crate::verdict::GroupVerdict;

/// How many characters of a name are shown.
const MAX_NAME: usize = 300;
/// How many test cases there are of a kind; `report.json` holds all.
const MAX_CASES: usize = 5_000;

/// The report as an XML document.
pub(super) fn text(report: &Report) -> String {
    let mut document = quick_junit::Report::new("parity");
    document.set_time(taken(report));
    document.add_test_suite(whole(report));
    document.add_test_suites(models(report));
    document.to_string().expect("a string takes all that is written to it")
}

fn taken(report: &Report) -> Duration {
    let taken = report.run.finished_at.duration_since(report.run.started_at);
    taken.try_into().unwrap_or_default()
}

/// All records together.
fn whole(report: &Report) -> TestSuite {
    let verdict = &report.verdict;
    let mut suite = TestSuite::new("parity");
    let headline = words::headline(report);
    let mut case = TestCase::new("all records", status(verdict.outcome, &headline));
    case.set_classname("parity");
    suite.add_test_case(case);
    for (name, value) in [
        ("outcome", verdict.outcome.name().to_owned()),
        ("records", verdict.records.to_string()),
        ("distinct", verdict.distinct.to_string()),
        ("mismatches", verdict.mismatches.to_string()),
        ("mismatch_rate", verdict.bound.mismatch_rate.to_string()),
        ("max_rate", report.limits.max_rate.to_string()),
        ("confidence", verdict.bound.confidence.to_string()),
        ("source", short(&report.run.records, MAX_NAME)),
        ("target", short(&report.run.target, MAX_NAME)),
        ("tolerated", report.tolerated().count().to_string()),
        ("text_only", report.text_only().count().to_string()),
    ] {
        suite.add_property(Property::new(name, value));
    }
    suite
}

fn models(report: &Report) -> Vec<TestSuite> {
    let mut suites = BTreeMap::new();
    for cluster in report.mismatches().take(MAX_CASES) {
        suite(&mut suites, &cluster.model).add_test_case(cluster_case(report, cluster));
    }
    for group in report.groups_worst_first().into_iter().take(MAX_CASES) {
        suite(&mut suites, &group.model).add_test_case(group_case(report, group));
    }
    suites.into_values().collect()
}

fn suite<'a>(suites: &'a mut BTreeMap<String, TestSuite>, model: &str) -> &'a mut TestSuite {
    let name = short(model, MAX_NAME);
    suites.entry(name.clone()).or_insert_with(|| TestSuite::new(name))
}

/// A cluster is a failure, unless so many mismatches are allowed.
fn cluster_case(report: &Report, cluster: &ClusterDetail) -> TestCase {
    let differ = format!(
        "{} of {} differ ({}): {}",
        records(cluster.records),
        short(&cluster.model, MAX_NAME),
        figures::percent(cluster.share),
        words::difference(cluster.kind),
    );
    let mut status = match report.verdict.outcome {
        Outcome::Broken => failure(&differ),
        _ => skipped(&format!("{differ}; so many are allowed")),
    };
    status.set_type(cluster.kind.name());
    status.set_description(description(cluster));
    let name = format!("{}: {}", short(&cluster.field, MAX_NAME), cluster.kind.name());
    let mut case = TestCase::new(name, status);
    case.set_classname(short(&cluster.model, MAX_NAME));
    case
}

fn description(cluster: &ClusterDetail) -> String {
    let name = |text: &str| short(text, MAX_NAME);
    let mut lines = vec![format!("example: {}", name(cluster.example.id()))];
    let clients = cluster.clients.iter().take(20);
    lines.extend(clients.map(|(client, n)| format!("client {}: {}", name(client), records(*n))));
    lines.extend(cluster.features.iter().map(|feature| {
        let [inside, outside] = [feature.inside, feature.outside].map(figures::percent);
        format!("{}: {inside} of these, {outside} of the others", name(&feature.name))
    }));
    if let Some(reason) = cluster.example.reply["error"].as_str() {
        lines.push(format!("error: {}", name(reason)));
    }
    lines.extend(words::remedy(cluster.kind).map(str::to_owned));
    lines.join("\n")
}

fn group_case(report: &Report, group: &GroupVerdict) -> TestCase {
    let message = format!(
        "{} of {} differ; at most {} of distinct ones, where {} is asked for",
        count(group.mismatches),
        records(group.records),
        figures::bound(group.mismatch_rate),
        figures::limit(report.limits.max_rate),
    );
    let name = match &group.client {
        Some(client) => format!("client {}", short(client, MAX_NAME)),
        None => "no client".to_owned(),
    };
    let mut case = TestCase::new(name, status(group.outcome, &message));
    case.set_classname(short(&group.model, MAX_NAME));
    case.add_property(Property::new("records", group.records.to_string()));
    case.add_property(Property::new("mismatch_rate", group.mismatch_rate.to_string()));
    case.add_property(Property::new("confidence", report.verdict.bound.confidence.to_string()));
    case
}

/// What is unproven is skipped: it has neither passed nor failed.
fn status(outcome: Outcome, message: &str) -> TestCaseStatus {
    match outcome {
        Outcome::Parity => TestCaseStatus::success(),
        Outcome::Unproven => skipped(&format!("unproven: {message}")),
        Outcome::Broken => {
            let mut failure = failure(message);
            failure.set_type("broken");
            failure
        }
    }
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

fn failure(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    status
}
