//! Options of thousands of clients: each plan is compiled once and stays; how long things take is
//! printed, never asserted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::name::Name;
use super::plan::Plan;
use super::subject::Subject;
use super::{Document, Policy};

/// How many clients there are, unless the environment says otherwise; half as many models, and
/// four sites for each client, all with options of their own.
const CLIENTS: usize = 200;
const CLIENTS_VARIABLE: &str = "SCALE_CLIENTS";
const SITES: usize = 4;
const RULES: usize = 12;

#[test]
fn a_plan_is_found_however_many_clients_there_are() {
    let many = std::env::var(CLIENTS_VARIABLE).map_or(CLIENTS, |clients| clients.parse().unwrap());
    for clients in [100, many] {
        let begun = Instant::now();
        let policy = policy(clients);
        println!(
            "{clients} clients, {} scopes: loaded in {:?}",
            policy.scopes().count(),
            begun.elapsed()
        );
        find_plans(&policy, clients);
        change(&policy, clients);
    }
}

/// The plans of all clients and sites in no order: once to compile them, then again and again.
fn find_plans(policy: &Policy, clients: usize) {
    let scopes = clients * (SITES + 1);
    // The last site of each client has no scope: it has its client's plan.
    let names: Vec<(Name, Name)> = (0..scopes)
        .map(|i| i * 7919 % scopes)
        .map(|i| (client(i / (SITES + 1)), format!("site-{}", i % (SITES + 1))))
        .map(|(client, site)| (client.parse().unwrap(), site.parse().unwrap()))
        .collect();
    // As long as somebody may ask for a plan, no other takes its address.
    let mut compiled: BTreeMap<usize, Weak<Plan>> = BTreeMap::new();
    let before = resident();
    for pass in ["first look (compiled)", "second look", "third look"] {
        let mut nanos: Vec<u128> = Vec::with_capacity(names.len());
        for (client, site) in &names {
            let begun = Instant::now();
            let plan = black_box(policy.plan_for(client, Some(site)));
            nanos.push(begun.elapsed().as_nanos());
            let plan = plan.unwrap();
            assert_eq!(plan.rules.len(), RULES);
            compiled.insert(Arc::as_ptr(&plan).addr(), Arc::downgrade(&plan));
        }
        assert_eq!(compiled.len(), scopes, "plans compiled, by the end of the {pass}");
        nanos.sort_unstable();
        let at = |percent: usize| nanos[(nanos.len() - 1) * percent / 100];
        let mean = nanos.iter().sum::<u128>() / nanos.len() as u128;
        println!("  plan, {pass}: mean {mean} ns, median {} ns, p99 {} ns", at(50), at(99));
    }
    let (bytes, resident) = (policy.plans.bytes(), resident().saturating_sub(before));
    println!(
        "  {scopes} plans: {} bytes each by the cache's own count, {} by the process's memory",
        bytes / scopes as u64,
        resident / scopes
    );
}

/// The memory that the process has, where the system says so.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// One change each of a site, a client, a model and the platform.
fn change(policy: &Policy, clients: usize) {
    let last = clients - 1;
    let rule = r#"{"rules": {"rule-1": {"review_at": 0.35}}}"#;
    let changes = [
        (format!("scopes/client/{}/site/site-0", client(last)), rule.to_owned()),
        (format!("scopes/client/{}", client(last)), rule.to_owned()),
        (format!("models/model-{}", RULES + 1), model()),
        ("models/model-1".to_owned(), model()),
        ("scopes/platform".to_owned(), platform(0.75)),
    ];
    for (subject, text) in changes {
        let edit = (subject.parse().unwrap(), Some(text.into()));
        let begun = Instant::now();
        let next = policy.apply(&[edit]).unwrap();
        let applied = begun.elapsed();
        assert_eq!(next.version, 2);
        let begun = Instant::now();
        drop(next);
        println!("  change of {subject}: {applied:?}, dropped in {:?}", begun.elapsed());
    }
}

fn policy(clients: usize) -> Policy {
    let mut documents: Vec<(Subject, Document)> = Vec::new();
    let mut put = |subject: String, text: String| {
        let text: Arc<str> = text.into();
        documents.push((subject.parse().unwrap(), Document { text, version: 1 }));
    };
    (0..(clients / 2).max(RULES + 2)).for_each(|i| put(format!("models/model-{i}"), model()));
    put("scopes/platform".to_owned(), platform(0.7));
    for i in 0..clients {
        let own = |of: usize| {
            let (rule, review_at) = (of % RULES, 1 + of % 6);
            format!(r#"{{"rules": {{"rule-{rule}": {{"review_at": 0.{review_at}}}}}}}"#)
        };
        put(format!("scopes/client/{}", client(i)), own(i));
        for site in 0..SITES {
            put(format!("scopes/client/{}/site/site-{site}", client(i)), own(i + site));
        }
    }
    Policy::load(1, documents).unwrap()
}

fn client(number: usize) -> String {
    format!("client-{number}")
}

fn model() -> String {
    r#"{"endpoint": {"sagemaker": "model"}, "labels": ["bad", "good"]}"#.to_owned()
}

fn platform(review_at: f64) -> String {
    let mut rules = String::new();
    for i in 0..RULES {
        let comma = if i > 0 { ", " } else { "" };
        let when = if i == 3 { r#", "when": "scores['rule-2'] > 0.2""# } else { "" };
        write!(
            rules,
            r#"{comma}"rule-{i}": {{"model": "model-{i}", "label": "bad", "review_at": {review_at}, "reject_at": 0.95{when}}}"#
        )
        .unwrap();
    }
    format!(r#"{{"rules": {{{rules}}}}}"#)
}
