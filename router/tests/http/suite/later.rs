//! Verdicts that callers don't wait for: promised, and fetched when they are made.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, World, content, until};

const JSON: (&str, &str) = ("content-type", "application/json");
const ASYNC: [(&str, &str); 2] = [JSON, ("prefer", "respond-async, wait=5")];

/// The spam model's endpoint answers only once the gate is opened.
pub(super) async fn gated() -> World {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "gate"}})).await;
    world
}

pub(super) fn review(rest: Value) -> String {
    let mut review = json!({"fields": {"text": "spam=0.99"}});
    let Value::Object(rest) = rest else { panic!("not an object: {rest}") };
    review.as_object_mut().unwrap().extend(rest);
    content(review).to_string()
}

/// What the router has under an id once it answers so.
pub(super) async fn found(world: &World, id: &str, is_it: impl Fn(&Answer) -> bool) -> Answer {
    let get = async || world.get(&format!("/v1/decisions/{id}")).await;
    until(async || is_it(&get().await)).await;
    get().await
}

async fn ask(world: &World, review: String) -> Answer {
    world.send("POST", "/v1/moderate", &ASYNC, review).await
}

/// The id under which a verdict was promised.
async fn promised(world: &World, review: String) -> String {
    let answer = ask(world, review).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["decision_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_caller_that_does_not_wait_fetches_the_verdict_when_it_is_made() {
    let world = gated().await;
    let asked = ask(&world, review(json!({"deadline_ms": 50}))).await;
    assert_eq!(asked.status, 202);
    assert_eq!(asked.headers["preference-applied"], "respond-async");
    let body = asked.json();
    assert_eq!(body["status"], "pending");
    let id = body["decision_id"].as_str().unwrap();
    assert_eq!(asked.headers["location"], format!("/v1/decisions/{id}"));
    world.sagemaker.reached("gate", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.get(&format!("/v1/decisions/{id}")).await.status, 202);

    world.sagemaker.open_gate(1);
    let verdict = found(&world, id, |found| found.status == 200).await.json();
    assert_eq!((&verdict["decision"], &verdict["decision_id"]), (&json!("reject"), &json!(id)));
}

#[tokio::test]
async fn what_is_wrong_is_said_at_once_to_those_who_do_not_wait() {
    let world = World::new().await;
    ask(&world, review(json!({"client": "nobody"}))).await.refused(404);
    ask(&world, review(json!({"dry_run": true}))).await.refused(422);
    ask(&world, "{}".to_owned()).await.refused(422);
}

#[tokio::test]
async fn those_who_do_not_wait_turn_away_nobody_who_does() {
    let world = World::new().await;
    world.add("models/hanging", json!({"endpoint": {"sagemaker": "hanging"}})).await;
    let rule = json!({"model": "hanging", "label": "spam", "review_at": 0.5});
    world.change("scopes/client/alehouse", json!({"rules": {"odd": rule}})).await;
    let reviews = (0..300).map(|i| {
        let text = json!({"client": "alehouse", "fields": {"text": format!("{i}")}});
        ask(&world, review(text))
    });
    let (promised, refused): (Vec<_>, Vec<_>) =
        join_all(reviews).await.into_iter().partition(|answer| answer.status == 202);
    assert_eq!((promised.len(), refused.len()), (256, 44));
    for answer in refused {
        let detail = answer.refused(503);
        assert_eq!(answer.json()["type"], "/problems/overloaded");
        assert!(detail.contains("without `Prefer: respond-async`"), "{detail}");
    }
    let verdicts = join_all((0..300).map(|_| world.moderate("spam=0.99"))).await;
    assert!(verdicts.iter().all(|verdict| verdict["decision"] == "reject"));
}

#[tokio::test]
async fn a_router_that_stops_keeps_its_promise_with_the_scores_that_came() {
    let world = gated().await;
    world.add("models/hate", json!({"endpoint": {"sagemaker": "any"}})).await;
    let hate = json!({"model": "hate", "label": "hate", "review_at": 0.5});
    world.change("scopes/client/plainstore", json!({"rules": {"hate": hate}})).await;
    let id = promised(&world, review(json!({"fields": {"text": "spam=0.99 hate=0.8"}}))).await;
    world.sagemaker.reached("gate", 1).await;
    world.sagemaker.reached("any", 1).await;

    let world = world.restart().await;
    let verdict = world.get(&format!("/v1/decisions/{id}")).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(true)));
    let statuses = [&verdict["calls"][0], &verdict["calls"][1]].map(|call| &call["status"]);
    assert_eq!(statuses, ["ok", "timeout"], "{verdict}");
    assert_eq!(verdict["reasons"][0]["score"], 0.8);
    let calls = ["gate", "any"].map(|endpoint| world.sagemaker.payloads(endpoint).len());
    assert_eq!(calls, [1, 1], "no call was made again");

    // What took longer than the router went on says nothing of what a caller's time is enough for.
    let rules = json!({"documents": {"scopes/client/plainstore": {"rules": {"hate": hate}}}});
    let replayed = world.post("/v1/policy/what-if", rules.to_string()).await.json();
    assert_eq!(replayed["decisions"]["missing"], json!({"spam": 1}), "{replayed}");
}

#[tokio::test]
async fn a_router_that_stops_waits_for_models_that_answer_in_some_seconds() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "leisurely"}})).await;
    let id = promised(&world, review(json!({}))).await;
    world.sagemaker.reached("leisurely", 1).await;
    let world = world.restart().await;
    let verdict = world.get(&format!("/v1/decisions/{id}")).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("reject"), &json!(false)));
}

#[tokio::test]
async fn a_promised_verdict_is_made_by_the_options_in_force_once_its_scores_have_come() {
    let world = gated().await;
    let id = promised(&world, review(json!({}))).await;
    world.sagemaker.reached("gate", 1).await;
    let rule = json!({"rules": {"spam": {"reject_at": null}}});
    assert_eq!(world.change("scopes/client/plainstore", rule).await.status, 204);
    world.sagemaker.open_gate(1);
    let verdict = found(&world, &id, |found| found.status == 200).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(false)));
    assert_eq!(verdict["policy_version"], world.get("/readyz").await.json()["policy_version"]);
    assert_eq!(world.sagemaker.payloads("gate").len(), 1, "the call was not made again");
}

#[tokio::test]
async fn a_promised_verdict_does_not_wait_for_a_model_that_is_switched_off_meanwhile() {
    let world = gated().await;
    world.add("models/hate", json!({"endpoint": {"sagemaker": "any"}})).await;
    let hate = json!({"model": "hate", "label": "hate", "review_at": 0.5});
    world.change("scopes/client/plainstore", json!({"rules": {"hate": hate}})).await;
    let id = promised(&world, review(json!({"fields": {"text": "hate=0.8"}}))).await;
    world.sagemaker.reached("gate", 1).await;
    world.sagemaker.reached("any", 1).await;
    let off = json!({"rules": {"hate": hate, "spam": {"enabled": false}}});
    assert_eq!(world.change("scopes/client/plainstore", off).await.status, 204);
    let verdict = found(&world, &id, |found| found.status == 200).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(false)));
    assert_eq!(world.sagemaker.payloads("any").len(), 1, "its score was known");
}

#[tokio::test]
async fn what_was_promised_to_a_client_that_is_gone_is_kept_by_its_last_options() {
    let world = gated().await;
    let id = promised(&world, review(json!({}))).await;
    assert_eq!(world.send("DELETE", "/v1/scopes/client/plainstore", &[], "").await.status, 204);
    world.sagemaker.open_gate(1);
    let verdict = found(&world, &id, |found| found.status == 200).await.json();
    assert_eq!(verdict["decision"], "reject");
}

#[tokio::test]
async fn of_an_id_so_young_that_another_router_may_owe_its_verdict_that_is_said() {
    let world = World::new().await;
    let asked = async |id: &str| world.get(&format!("/v1/decisions/{id}")).await.refused(404);
    let young = asked(&uuid::Uuid::now_v7().to_string()).await;
    assert!(young.contains("202") && young.contains("ask again"), "{young}");
    for old in ["0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "ffffffff-ffff-7fff-bfff-ffffffffffff"] {
        assert!(!asked(old).await.contains("202"), "{old}");
    }
    assert!(!asked(&uuid::Uuid::new_v4().to_string()).await.contains("202"));
}

#[tokio::test]
async fn a_router_that_stops_asks_no_model_that_it_has_not_asked_yet() {
    let world = gated().await;
    world.add("models/dear", json!({"endpoint": {"sagemaker": "dear"}, "cost": 5})).await;
    let dear = json!({"model": "dear", "label": "hate", "reject_at": 0.5, "on_failure": "approve"});
    world.change("scopes/client/plainstore", json!({"rules": {"dear": dear}})).await;
    let id = promised(&world, review(json!({}))).await;
    world.sagemaker.reached("gate", 1).await;

    let world = world.restart().await;
    let verdict = world.get(&format!("/v1/decisions/{id}")).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(true)));
    assert_eq!(verdict["calls"][0]["status"], "timeout", "{verdict}");
    assert!(world.sagemaker.payloads("dear").is_empty());
}

#[tokio::test]
async fn a_promised_verdict_outlasts_a_database_that_takes_none_for_a_while() {
    let world = gated().await;
    let id = promised(&world, review(json!({}))).await;
    let mut holder = world.database.hold().await;
    world.sagemaker.open_gate(1);
    // Longer than a caller would wait for the database.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    let verdict = found(&world, &id, |found| found.status == 200).await.json();
    assert_eq!(verdict["decision"], "reject");
}

#[tokio::test]
async fn a_promised_verdict_is_kept_though_the_database_comes_back_only_while_the_router_stops() {
    let world = gated().await;
    let id = promised(&world, review(json!({}))).await;
    world.sagemaker.reached("gate", 1).await;
    let mut holder = world.database.hold().await;
    let release = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    };
    world.sagemaker.open_gate(1);
    let (world, ()) = tokio::join!(world.restart(), release);
    let verdict = world.get(&format!("/v1/decisions/{id}")).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("reject"), &json!(false)));
}
