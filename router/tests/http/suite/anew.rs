//! Degraded verdicts that are made anew once what they lacked has come.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::later::{found, gated, review};
use crate::support::{World, until};

/// A verdict that the gate has kept without its score. What was not even asked in the time is not
/// waited for: there is time to ask also where the machine has much to do.
async fn degraded(world: &World) -> Value {
    let verdict = world.post("/v1/moderate", review(json!({"deadline_ms": 1000}))).await.json();
    assert_eq!(verdict["degraded"], true, "{verdict}");
    assert_eq!(world.sagemaker.payloads("gate").len(), 1, "not asked in the time: {verdict}");
    verdict
}

/// The verdict that has taken another's place, once there is one.
async fn successor(world: &World, first: &Value) -> Value {
    let id = first["decision_id"].as_str().unwrap();
    let old = found(world, id, |found| found.headers.contains_key("link")).await;
    assert_eq!(old.json(), *first, "the first verdict is as it was");
    let link = old.headers["link"].to_str().unwrap();
    let path = link.strip_prefix('<').unwrap();
    let path = path.strip_suffix(r#">; rel="successor-version""#).unwrap();
    let second = world.get(path).await.json();
    assert_eq!(second["supersedes"], id);
    second
}

/// How many decisions are stored, and how many of them take another's place.
async fn stored(world: &World) -> (i64, i64) {
    let count = "SELECT count(*), count(supersedes) FROM decisions";
    sqlx::query_as(count).fetch_one(&mut world.database.connect().await).await.unwrap()
}

/// How many calls of verdicts have taken too long.
async fn timeouts(world: &World) -> u64 {
    let metrics = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
    let name = "gatehouse_router_model_calls_total{status=\"timeout\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

/// Long enough for what must not happen.
async fn a_while() {
    sleep(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_verdict_that_missed_a_starting_endpoint_is_made_anew_and_superseded() {
    let world = gated().await;
    let first = degraded(&world).await;
    assert_eq!(first["decision"], "review");
    assert_eq!(first["calls"][0]["status"], "timeout", "{first}");
    let id = first["decision_id"].as_str().unwrap();
    assert!(!world.get(&format!("/v1/decisions/{id}")).await.headers.contains_key("link"));

    world.sagemaker.open_gate(1);
    let second = successor(&world, &first).await;
    assert_eq!((&second["decision"], &second["degraded"]), (&json!("reject"), &json!(false)));
    assert_eq!(second["policy_version"], first["policy_version"]);
    assert_eq!(world.sagemaker.payloads("gate").len(), 1, "the call was not made again");

    let metrics = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "gatehouse_router_decisions_total{decision=\"review\",degraded=\"true\"} 1\n",
        // It is not counted twice.
        "gatehouse_router_decisions_total{decision=\"reject\",degraded=\"false\"} 0\n",
        "gatehouse_router_superseded_decisions_total 1\n",
    ] {
        assert!(metrics.contains(line), "no {line} in:\n{metrics}");
    }
}

#[tokio::test]
async fn a_verdict_of_a_dry_run_is_never_made_anew() {
    let world = gated().await;
    let first = review(json!({"deadline_ms": 100, "dry_run": true}));
    assert_eq!(world.post("/v1/moderate", first).await.json()["degraded"], true);
    world.sagemaker.open_gate(1);
    a_while().await;
    assert_eq!(stored(&world).await, (0, 0));
}

#[tokio::test]
async fn it_is_made_anew_by_the_options_that_are_in_force_then() {
    let world = gated().await;
    let first = degraded(&world).await;
    let rule = json!({"rules": {"spam": {"reject_at": null}}});
    assert_eq!(world.change("scopes/client/plainstore", rule).await.status, 204);
    world.sagemaker.open_gate(1);
    let second = successor(&world, &first).await;
    assert_eq!((&second["decision"], &second["degraded"]), (&json!("review"), &json!(false)));
    let version = first["policy_version"].as_i64().unwrap() + 1;
    assert_eq!(second["policy_version"], version);
    assert_eq!(world.sagemaker.payloads("gate").len(), 1, "the call was not made again");
}

#[tokio::test]
async fn the_score_of_a_model_that_was_switched_off_meanwhile_does_not_count() {
    let world = gated().await;
    degraded(&world).await;
    let off = json!({"endpoint": {"sagemaker": "gate"}, "enabled": false});
    assert_eq!(world.change("models/spam", off).await.status, 204);
    world.sagemaker.open_gate(1);
    a_while().await;
    assert_eq!(stored(&world).await, (1, 0));
}

#[tokio::test]
async fn a_model_that_was_moved_meanwhile_is_asked_where_it_is() {
    let world = gated().await;
    let first = degraded(&world).await;
    let moved = json!({"endpoint": {"sagemaker": "spam"}});
    assert_eq!(world.change("models/spam", moved).await.status, 204);
    world.sagemaker.open_gate(1);
    assert_eq!(successor(&world, &first).await["decision"], "reject");
    assert_eq!(world.sagemaker.payloads("spam").len(), 1);
}

#[tokio::test]
async fn a_verdict_on_a_client_that_is_gone_stands() {
    let world = gated().await;
    degraded(&world).await;
    assert_eq!(world.send("DELETE", "/v1/scopes/client/plainstore", &[], "").await.status, 204);
    world.sagemaker.open_gate(1);
    a_while().await;
    assert_eq!(stored(&world).await, (1, 0));
}

#[tokio::test]
async fn another_decision_supersedes_the_first_though_a_score_is_still_missing() {
    let world = gated().await;
    world.add("models/broken", json!({"endpoint": {"sagemaker": "html"}})).await;
    let broken =
        json!({"model": "broken", "label": "x", "reject_at": 0.5, "on_failure": "approve"});
    let spam = json!({"reject_at": null, "on_failure": "approve"});
    let rules = json!({"rules": {"broken": broken, "spam": spam}});
    assert_eq!(world.change("scopes/client/plainstore", rules).await.status, 204);
    let first = degraded(&world).await;
    assert_eq!(first["decision"], "approve");
    world.sagemaker.open_gate(1);
    let second = successor(&world, &first).await;
    assert_eq!((&second["decision"], &second["degraded"]), (&json!("review"), &json!(true)));
}

#[tokio::test]
async fn a_call_that_had_failed_for_good_is_not_waited_for_nor_made_again() {
    let world = gated().await;
    world.add("models/broken", json!({"endpoint": {"sagemaker": "unavailable"}})).await;
    let broken =
        json!({"model": "broken", "label": "x", "reject_at": 0.5, "on_failure": "approve"});
    let spam = json!({"reject_at": null, "on_failure": "approve"});
    let rules = json!({"rules": {"broken": broken, "spam": spam}});
    assert_eq!(world.change("scopes/client/plainstore", rules).await.status, 204);
    let first = world.post("/v1/moderate", review(json!({"deadline_ms": 1000}))).await.json();
    let statuses = [&first["calls"][0], &first["calls"][1]].map(|call| &call["status"]);
    assert_eq!(
        (statuses, &first["decision"]),
        ([&json!("throttled"), &json!("timeout")], &json!("approve"))
    );
    let asked = world.sagemaker.payloads("unavailable").len();
    world.sagemaker.open_gate(1);
    let second = successor(&world, &first).await;
    assert_eq!((&second["decision"], &second["degraded"]), (&json!("review"), &json!(true)));
    assert_eq!(second["calls"][0]["status"], "throttled");
    assert_eq!(world.sagemaker.payloads("unavailable").len(), asked);
}

#[tokio::test]
async fn what_is_lacking_is_not_waited_for_once_the_options_ask_for_it_no_more() {
    let world = gated().await;
    let first = degraded(&world).await;
    let off = json!({"rules": {"spam": {"enabled": false}}});
    assert_eq!(world.change("scopes/client/plainstore", off).await.status, 204);
    let second = successor(&world, &first).await;
    assert_eq!((&second["decision"], &second["degraded"]), (&json!("approve"), &json!(false)));
}

#[tokio::test]
async fn a_caller_that_hangs_up_while_its_verdict_is_stored_gets_it_made_anew_all_the_same() {
    let world = gated().await;
    let mut holder = world.database.hold().await;
    let mut caller = TcpStream::connect(world.address()).await.unwrap();
    let body = review(json!({"deadline_ms": 1000}));
    let post = format!(
        "POST /v1/moderate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    caller.write_all(post.as_bytes()).await.unwrap();
    world.sagemaker.reached("gate", 1).await;
    // The verdict is made, and stored next.
    until(async || timeouts(&world).await == 1).await;
    drop(caller);
    a_while().await;
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    world.sagemaker.open_gate(1);
    until(async || stored(&world).await == (2, 1)).await;
}

#[tokio::test]
async fn a_router_that_stops_does_not_wait_for_what_a_verdict_lacked() {
    let world = gated().await;
    degraded(&world).await;
    let world = timeout(Duration::from_secs(15), world.restart()).await.unwrap();
    assert_eq!(stored(&world).await, (1, 0));
}
