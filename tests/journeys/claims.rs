//! The scripts behind the figures of the README, in short; their times are never asserted.

use std::process::Command;

use crate::migration::COMPILING;
use crate::support::{gatehouse, repository, run};

fn claim(script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(repository("tests/claims").join(script));
    command.args(["--binary", gatehouse().get_program().to_str().unwrap()]).args(arguments);
    let output = run(&mut command, b"");
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}\n{}", String::from_utf8_lossy(&output.stderr));
    out
}

#[test]
fn a_cold_start_gives_the_legacy_servers_answer() {
    let _alone = COMPILING.lock().unwrap();
    let out = claim("cold-start", &["--rounds", "2"]);
    assert!(out.contains("2 cold starts"), "{out}");
}

#[test]
fn text_messages_are_scored_to_wekas_last_bit() {
    let data = tempfile::NamedTempFile::new().unwrap();
    let reviews = std::fs::read_to_string(repository("examples/content/reviews.jsonl")).unwrap();
    let lines = reviews.lines().map(|line| format!("review\t{line}\n"));
    std::fs::write(data.path(), lines.collect::<String>()).unwrap();
    let _alone = COMPILING.lock().unwrap();
    let out = claim("weka-bits", &["--data", data.path().to_str().unwrap()]);
    assert!(out.contains("offensive: 42 texts, 0 labels differ, 0 differ in a bit"), "{out}");
}

#[test]
fn five_models_move_from_the_legacy_server_and_one_bit_that_changed_is_found() {
    let _alone = COMPILING.lock().unwrap();
    let out = claim("parity-legacy", &[]);
    assert!(out.contains("parity shown, the fault found"), "{out}");
}

#[test]
fn a_container_stopped_under_load_loses_no_request() {
    let out = claim("drain", &["--rounds", "3"]);
    assert!(out.contains("3 stops under load") && out.contains(" 0 lost"), "{out}");
}

#[test]
fn killed_workers_are_seen_in_ping_and_lose_no_answer() {
    let out = claim("worker-chaos", &["--seconds", "4"]);
    assert!(out.contains("faults: 0"), "{out}");
}

#[test]
fn a_soaked_container_answers_every_request_and_does_not_grow() {
    let out = claim("soak", &["--requests", "3000", "--seconds", "3"]);
    assert!(out.contains("requests, none failed"), "{out}");
}

#[test]
fn a_replay_killed_again_and_again_reports_what_an_undisturbed_one_does() {
    let out = claim("replay-kills", &["--kills", "5", "--records", "2000"]);
    assert!(out.contains("killed 5 times") && out.contains("faults: 0"), "{out}");
}

#[test]
fn the_container_beside_its_peers_answers_as_they_do_and_fails_no_request() {
    let _alone = COMPILING.lock().unwrap();
    let out = claim("bench-container", &["--seconds", "1", "--rows", "legacy,hyper"]);
    assert!(out.contains("| Java server |") && out.contains("| bare hyper |"), "{out}");
}

#[test]
fn the_router_beside_its_peers_decides_as_they_do_and_asks_every_model() {
    let out =
        claim("bench-router", &["--seconds", "50", "--rounds", "1", "--rows", "sdk,http,hyper"]);
    assert!(out.contains("| sdk, stored |") && out.contains("| hyper |"), "{out}");
}

#[test]
fn verdicts_amid_broken_endpoints_are_those_of_a_calm_day_or_say_that_they_are_degraded() {
    // However busy the machine is, what is healthy must answer before these deadlines.
    let few = ["--seconds", "4", "--rate", "20", "--poison", "60", "--deadline", "5000"];
    let out = claim("router-chaos", &few);
    assert!(out.contains("verdicts compared: ") && out.contains(", 0 differ"), "{out}");
    assert_eq!(out.matches("good texts beside it were scored").count(), 2, "{out}");
}

#[test]
fn an_endpoint_updated_under_load_fails_no_call_and_never_goes_back() {
    // Beside other tests a machine may be too busy for the claim's own rates.
    let rates = ["--rate", "50", "--slow-rate", "15"];
    let out =
        claim("update-under-load", &[&rates[..], &["--updates", "2", "--seconds", "10"]].concat());
    assert!(out.contains("2 updates under 50 requests a second"), "{out}");
    assert_eq!(out.matches(" 0 failed\n0 answers of the old version").count(), 2, "{out}");
}

#[test]
fn many_endpoints_are_listed_and_called_and_none_fails() {
    let few = ["--endpoints", "60", "--few", "10", "--called", "20", "--rate", "20"];
    let out = claim("many-endpoints", &[&few[..], &["--seconds", "6"]].concat());
    assert!(out.contains("calls to 20 endpoints at 20 a second: 0 failed"), "{out}");
}

#[test]
fn the_options_of_many_clients_are_loaded_and_changed_and_never_read_for_a_verdict() {
    let few = ["--clients", "60", "--models", "30", "--scopes", "300", "--reviews", "40"];
    let out = claim("policy-scale", &few);
    assert!(out.contains("40 dry-run reviews: 0 database statements besides the polls"), "{out}");
}

#[test]
fn killed_containers_and_hosts_harm_no_other_endpoint_and_lose_nothing_created() {
    let out = claim("host-chaos", &["--rounds", "2"]);
    assert!(out.contains("2 hosts killed; nothing created was lost"), "{out}");
}

#[test]
fn a_weka_file_comes_into_force_by_command_and_by_dropping_it() {
    let out = claim("deploy-seconds", &["--rounds", "1"]);
    assert!(out.contains("drop, next version") && out.contains("deploy, new name"), "{out}");
}

#[test]
fn options_changed_from_everywhere_at_once_neither_tear_nor_lose_an_update() {
    let few = ["--writers", "8", "--readers", "40", "--seconds", "2"];
    let out = claim("policy-contention", &few);
    assert_eq!(out.matches("0 lost updates, 0 gaps, 0 torn, 0 errors").count(), 2, "{out}");
}

#[test]
fn decisions_go_on_while_postgresql_is_away_and_none_is_lost() {
    // However busy the machine is: the options must come into force, at whatever time.
    let out = claim("chaos-postgres", &["--rounds", "1", "--within", "60"]);
    assert!(out.contains("every decision is stored as it was answered, and once"), "{out}");
}

#[test]
fn every_alert_comes_and_the_runbooks_commands_end_it() {
    let alerts = include_str!("../../examples/alerts.yml").matches("- alert:").count();
    let out = claim("runbook", &[]);
    assert!(out.contains(&format!("{alerts} alerts fired and ended")), "{out}");
}

#[test]
fn the_router_answers_as_its_openapi_document_says() {
    let out = claim("schemathesis", &["--seconds", "30"]);
    for round in ["without keys: ", "with a key: ", "about keys: "] {
        let line = out.lines().find(|line| line.starts_with(round));
        assert!(line.is_some_and(|line| line.ends_with(" requests, 0 failed")), "{out}");
    }
}
