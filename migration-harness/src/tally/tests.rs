//! What a tally counts and reports, and records for the tests of others.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::difference::Kind;
use crate::outcome::Looks;
use crate::record::{Answer, Request};
use crate::report::{ClusterDetail, Report, Run};

/// A record whose request says `body`, and which was answered.
pub(crate) fn record(id: &str, model: &str, client: &str, body: &'static str) -> Record {
    let content_type = Some("text/plain".to_owned());
    let headers = BTreeMap::new();
    Record {
        id: id.to_owned(),
        captured_at: jiff::Timestamp::UNIX_EPOCH,
        model: model.to_owned(),
        client: Some(client.to_owned()),
        request: Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            content_type: content_type.clone(),
            headers: headers.clone(),
            body: Bytes::from_static(body.as_bytes()),
        },
        reply: Reply {
            answer: Ok(Answer { status: 200, content_type, headers, body: "1".into() }),
            latency_us: Some(1),
        },
        unknown: serde_json::Map::new(),
    }
}

/// What is known of a run that never was.
pub(crate) fn run() -> Run {
    Run {
        command: "replay".to_owned(),
        version: "0".to_owned(),
        records: "records.jsonl".to_owned(),
        target: "http://127.0.0.1:1".to_owned(),
        rules: None,
        noise: None,
        shard: None,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        finished_at: jiff::Timestamp::UNIX_EPOCH,
        resumed: 0,
    }
}

/// The limits that commands have by default.
pub(crate) const LIMITS: Limits =
    Limits { allow: 0, max_rate: 0.001, confidence: 0.95, looks: Looks::Once };

/// Adds a record in which fields differ.
fn add(tally: &mut Tally, sequence: u64, record: &Record, fields: &[&str]) {
    let differences = fields.iter().map(|field| Difference::new(field, Kind::Value)).collect();
    add_differences(tally, sequence, record, differences);
}

fn add_differences(
    tally: &mut Tally,
    sequence: u64,
    record: &Record,
    differences: Vec<Difference>,
) {
    tally.add(&Finding { sequence, record, new: &record.reply, differences }).unwrap();
}

/// The report on records, each with the fields that differ in it.
pub(crate) fn report(records: &[(u64, Record, &[&str])]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::new(folder.path());
    for (sequence, record, fields) in records {
        add(&mut tally, *sequence, record, fields);
    }
    tally.sum_up(LIMITS, run(), None).unwrap().1
}

/// The report on as many records, each with its differences.
fn report_of(count: u64, make: impl Fn(u64) -> (Record, Vec<Difference>)) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::new(folder.path());
    for sequence in 0..count {
        let (record, differences) = make(sequence);
        add_differences(&mut tally, sequence, &record, differences);
    }
    tally.sum_up(LIMITS, run(), None).unwrap().1
}

fn score(permit: Option<Permit>) -> Difference {
    Difference { permit, distance: Some(0.5), ..Difference::new("score", Kind::Value) }
}

#[test]
fn a_record_with_several_differences_is_one_mismatch_in_several_clusters() {
    let one = record("1", "spam", "a", "x");
    let other = record("2", "spam", "a", "y");
    let report = report(&[(0, one, &["x", "y"]), (1, other, &[])]);
    assert_eq!((report.verdict.records, report.verdict.mismatches), (2, 1));
    assert_eq!((report.verdict.clusters.len(), report.clusters.len()), (2, 2));
    assert_eq!(report.clusters[0].share, 0.5);
}

#[test]
fn a_repeated_request_counts_once_and_differs_if_it_ever_did() {
    let [one, other] = ["a", "b"].map(|client| record("1", "spam", client, "x"));
    let report = report(&[(0, one, &[]), (1, other, &["x"])]);
    assert_eq!((report.verdict.distinct, report.statistics.distinct_mismatches), (1, 1));
    let groups = report.verdict.groups.iter();
    let outcomes: Vec<_> = groups.map(|group| group.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unproven, Outcome::Broken]);
}

#[test]
fn a_sequential_tally_knows_of_a_chosen_record_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::new(folder.path()).sequential(LIMITS);
    let mut chosen = record("1", "spam", "a", "x");
    chosen.unknown.insert("part".to_owned(), "cover".into());
    add(&mut tally, 0, &chosen, &["x"]);
    assert_eq!(tally.known_outcome(), Some(Outcome::Broken));
}

#[test]
fn the_example_is_the_smallest_request_and_of_those_the_first() {
    let records = [("b", "yyy"), ("a", "xx"), ("a", "zz")];
    let record = |n: usize| record(&format!("id-{n}"), "spam", records[n].0, records[n].1);
    for order in [[0, 1, 2], [2, 1, 0]] {
        let report = report(&order.map(|n| (n as u64, record(n), ["x"].as_slice())));
        let cluster = &report.clusters[0];
        assert_eq!((cluster.records, &cluster.example.record["id"]), (3, &"id-1".into()));
        assert!(cluster.clients.keys().eq(["a", "b"]));
        assert_eq!(cluster.ids, ["id-0", "id-1", "id-2"]);
        assert_eq!(report.verdict.clusters[0].example, "id-1");
    }
}

#[test]
fn differences_of_text_only_are_reported_and_kept_out_of_the_verdict() {
    let differs = |n: u64| {
        let permit = if n == 0 { Permit::TextOnly } else { Permit::Rule("r".to_owned()) };
        (record(&n.to_string(), "spam", "a", "x"), vec![score(Some(permit))])
    };
    let report = report_of(2, differs);
    assert_eq!((report.clusters.len(), report.verdict.clusters.len()), (2, 1));
    assert!(report.verdict.clusters[0].tolerated && report.verdict.mismatches == 0);
}

#[test]
fn a_cluster_tells_in_how_many_records_the_legacy_system_itself_differs() {
    let report = report_of(10, |n| {
        let noise = Difference { kind: Kind::Ulp, ..score(Some(Permit::Noise)) };
        let differences = match n {
            0 => vec![score(None)],
            1..=3 => vec![noise.clone(), Difference { kind: Kind::Type, ..noise }],
            _ => vec![],
        };
        (record(&n.to_string(), "spam", "a", "x"), differences)
    });
    let mismatch = report.clusters.iter().find(|cluster| cluster.permit.is_none()).unwrap();
    assert_eq!((mismatch.records, mismatch.noise), (1, 3));
    let distances = mismatch.distances.as_ref().unwrap();
    assert_eq!((distances.min, distances.powers_of_ten[&-1]), (0.5, 1));
}

fn feature_names(cluster: &ClusterDetail) -> Vec<&str> {
    cluster.features.iter().map(|feature| feature.name.as_str()).collect()
}

#[test]
fn what_sets_a_cluster_apart_is_found_in_the_request() {
    let report = report_of(3_000, |n| {
        let (client, emoji) = (["alehouse", "toybox"][(n % 2) as usize], n % 10 == 0);
        let body = if emoji { "good 👍" } else { "good stuff" };
        let record = record(&format!("id-{n}"), "spam", client, body);
        (record, if emoji { vec![score(None)] } else { vec![] })
    });
    let cluster = &report.clusters[0];
    assert_eq!(
        cluster.features[0].name,
        "client alehouse".replace("client alehouse", "text: emoji")
    );
    assert_eq!((cluster.features[0].inside, cluster.features[0].outside), (1.0, 0.0));
}

#[test]
fn what_sets_a_cluster_apart_may_be_the_client_or_a_missing_field_or_the_time() {
    let report = report_of(2_000, |n| {
        let client = if n % 7 == 0 { "toybox" } else { "alehouse" };
        let body = if n % 3 == 0 { r#"{"text": "a"}"# } else { r#"{"text": "a", "title": "b"}"# };
        let model = ["of client", "of field", "of time"][(n / 4 % 3) as usize];
        let mut record = record(&format!("id-{n}"), model, client, body);
        record.request.content_type = Some("application/json".to_owned());
        record.captured_at = jiff::Timestamp::from_second(n as i64).unwrap();
        let differs = match model {
            "of client" => client == "toybox",
            "of field" => n % 3 == 0,
            _ => (500..600).contains(&n),
        };
        (record, if differs { vec![score(None)] } else { vec![] })
    });
    let features = |model: &str| {
        let cluster = report.clusters.iter().find(|cluster| cluster.model == model).unwrap();
        feature_names(cluster)
    };
    assert_eq!(features("of client")[0], "client toybox");
    assert!(features("of field").contains(&"request lacks `/title`"), "{:?}", features("of field"));
    assert!(features("of time")[0].starts_with("captured from 1970-01-01T00:08:2"));
}

#[test]
fn what_is_spread_over_all_records_has_no_features() {
    let report = report_of(2_000, |n| {
        let record = record(&format!("id-{n}"), "spam", ["a", "b"][(n % 2) as usize], "text");
        (record, if n % 5 == 0 { vec![score(None)] } else { vec![] })
    });
    assert_eq!(feature_names(&report.clusters[0]), [""; 0]);
}

#[test]
fn differences_beyond_the_limit_are_one_more_cluster() {
    let report = report_of(2_010, |n| {
        let differences = vec![Difference::new(&format!("field-{n}"), Kind::Missing)];
        (record(&n.to_string(), "spam", "a", "x"), differences)
    });
    assert_eq!(report.clusters.len(), 2_001);
    let others = report.clusters.iter().find(|cluster| cluster.field == OTHERS).unwrap();
    assert_eq!((others.records, others.permit.is_none()), (10, true));
    assert_eq!(report.verdict.mismatches, 2_010);
}

#[test]
fn the_size_of_a_record_counts_its_headers_and_unknown_fields() {
    let mut record = record("1", "spam", "a", "x");
    let before = record.bytes();
    record.request.headers.insert("x-a".to_owned(), "v".repeat(1_000));
    record.unknown.insert("more".to_owned(), serde_json::json!({"deep": ["u".repeat(1_000)]}));
    assert!(record.bytes() >= before + 2_000);
}

#[test]
fn a_saved_tally_sums_up_to_the_same_in_any_number_of_parts() {
    let finding = |n: u64| {
        let client = ["a", "b", "c"][(n % 3) as usize];
        let body: &'static str = format!("call {}", n % 700).leak();
        let mut record = record(&format!("id-{n}"), ["x", "y"][(n % 2) as usize], client, body);
        record.captured_at = jiff::Timestamp::from_second(n as i64).unwrap();
        let differences = match n % 50 {
            0 => vec![score(None)],
            7 => vec![score(Some(Permit::TextOnly))],
            8 => vec![score(Some(Permit::Noise)), Difference::new("label", Kind::Label)],
            _ => vec![],
        };
        (record, differences)
    };
    let mut whole = report_of(3_000, finding);
    let folder = tempfile::tempdir().unwrap();
    let mut merged = Tally::new(&folder.path().join("all"));
    for part in 0..4 {
        let folder = folder.path().join(part.to_string());
        std::fs::create_dir(&folder).unwrap();
        let mut tally = Tally::new(&folder);
        for sequence in (0..3_000).rev().filter(|sequence| sequence % 4 == part) {
            let (record, differences) = finding(sequence);
            add_differences(&mut tally, sequence, &record, differences);
        }
        if part == 0 {
            merged.add_all(&mut tally).unwrap();
            continue;
        }
        tally.save().unwrap();
        drop(tally);
        merged.absorb(&folder).unwrap();
    }
    let mut merged = merged.sum_up(LIMITS, run(), None).unwrap().1;
    for report in [&mut whole, &mut merged] {
        // Empty `clusters` would be equal too.
        assert_eq!(report.clusters.len(), 4);
    }
    let text = |report: &Report| serde_json::to_string_pretty(report).unwrap();
    assert_eq!(text(&merged), text(&whole));
}

#[test]
fn a_record_that_the_disk_does_not_take_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let obstacle = folder.path().join("file");
    std::fs::write(&obstacle, "").unwrap();
    let mut tally = Tally::new(&obstacle);
    let spread = |n: u128| Fingerprint(n.wrapping_mul(u128::MAX / 97 * 41).to_be_bytes());
    let entry = |n| Entry { request: spread(n), group: 0, differs: false };
    let taken = (0..3_000_000).take_while(|n| tally.ledger.add(entry(*n)).is_ok()).count();
    assert!(taken < 3_000_000, "the disk had to be asked");
    let record = record("1", "spam", "toybox", "call");
    let differences = vec![score(None)];
    let finding = Finding { sequence: 0, record: &record, new: &record.reply, differences };
    tally.add(&finding).unwrap_err();
    let counted = tally.groups.list().iter().map(|group| (group.records, group.mismatches));
    assert!(counted.into_iter().all(|counts| counts == (0, 0)));
}
