//! How long things take with the options of thousands of clients: printed, never asserted.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use super::name::Name;
use super::subject::Subject;
use super::{Document, Policy};

/// How many clients there are, unless the environment says otherwise; half as many models, and
/// four sites for each client.
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

/// The plans of clients and sites in no order: once to compile them, then again and again.
fn find_plans(policy: &Policy, clients: usize) {
    let names: Vec<(Name, Name)> = (0..clients)
        .map(|i| i * 7919 % clients)
        .map(|i| (client(i).parse().unwrap(), format!("site-{}", i % (SITES + 1)).parse().unwrap()))
        .collect();
    for pass in ["first look (compiled)", "second look", "third look"] {
        let mut nanos: Vec<u128> = Vec::with_capacity(names.len());
        for (client, site) in &names {
            let begun = Instant::now();
            let plan = black_box(policy.plan_for(client, Some(site)));
            nanos.push(begun.elapsed().as_nanos());
            assert_eq!(plan.unwrap().rules.len(), RULES);
        }
        nanos.sort_unstable();
        let at = |percent: usize| nanos[(nanos.len() - 1) * percent / 100];
        let mean = nanos.iter().sum::<u128>() / nanos.len() as u128;
        println!("  plan, {pass}: mean {mean} ns, median {} ns, p99 {} ns", at(50), at(99));
    }
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
        // Every other client and site has rules of its own.
        let own = |of: usize| match of % 2 {
            0 => "{}".to_owned(),
            _ => format!(
                r#"{{"rules": {{"rule-{}": {{"review_at": 0.{}}}}}}}"#,
                of % RULES,
                1 + of % 6
            ),
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
