//! Endpoints that start, lose a call, throttle or recover: what is waited for, and what is not.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, content, until};

async fn world(endpoint: &str) -> World {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": endpoint}})).await;
    world
}

async fn moderate(world: &World, text: &str, deadline_ms: u64) -> Value {
    world.moderate_with(json!({"fields": {"text": text}, "deadline_ms": deadline_ms})).await
}

async fn standing(world: &World) -> Value {
    let all = world.get("/v1/endpoints").await.json();
    let all = all["endpoints"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["models"] == json!(["spam"])).unwrap()
}

/// Waits for the verdict that takes the place of this one.
async fn successor(world: &World, verdict: &Value) -> Value {
    let path = format!("/v1/decisions/{}", verdict["decision_id"].as_str().unwrap());
    let link = async || world.get(&path).await.headers.get("link").cloned();
    until(async || link().await.is_some()).await;
    let link = link().await.unwrap();
    let (path, _) = link.to_str().unwrap().trim_start_matches('<').split_once('>').unwrap();
    world.get(path).await.json()
}

#[tokio::test]
async fn calls_that_waited_for_a_start_are_no_failures_whichever_is_answered_first() {
    let world = world("picked").await;
    let texts: Vec<_> = (0..16).map(|n| format!("spam=0.99 n={n}")).collect();
    let verdicts = join_all(texts.iter().map(|text| moderate(&world, text, 600))).await;
    for verdict in &verdicts {
        assert_eq!(verdict["calls"][0]["status"], "timeout", "{verdict}");
    }
    // Longer than calls of an endpoint that is up ever take.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let asked = world.sagemaker.payloads("picked");
    assert_eq!(asked.len(), texts.len());
    let last = asked.last().unwrap()["text"].as_str().unwrap();
    world.sagemaker.pick(last);
    let of_last = texts.iter().position(|text| text == last).unwrap();
    assert_eq!(successor(&world, &verdicts[of_last]).await["decision"], "reject");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let now = standing(&world).await;
    assert_eq!((&now["state"], &now["failures_in_a_row"]), (&json!("closed"), &json!(0)), "{now}");
    texts.iter().for_each(|text| world.sagemaker.pick(text));
    for verdict in &verdicts {
        let better = successor(&world, verdict).await;
        assert_eq!((&better["decision"], &better["degraded"]), (&json!("reject"), &json!(false)));
    }
    assert_eq!(standing(&world).await["state"], "closed");
}

#[tokio::test]
async fn who_repeats_a_content_whose_call_is_lost_has_it_made_anew() {
    let world = world("lossy").await;
    assert_eq!(moderate(&world, "warm", 5000).await["calls"][0]["status"], "ok");
    let repeated = async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(moderate(&world, "other", 5000).await["calls"][0]["status"], "ok");
        tokio::time::sleep(Duration::from_millis(1200)).await;
        moderate(&world, "lost", 5000).await
    };
    let (lost, repeated) = tokio::join!(moderate(&world, "lost", 4000), repeated);
    let statuses = (&lost["calls"][0]["status"], &repeated["calls"][0]["status"]);
    assert_eq!(statuses, (&json!("timeout"), &json!("ok")));
}

#[tokio::test]
async fn a_caller_who_joins_a_call_under_way_has_the_models_own_time_from_then_on() {
    let world = World::new().await;
    let model = json!({"endpoint": {"sagemaker": "gate"}, "timeout_ms": 600});
    world.change("models/spam", model).await;
    let second = async {
        world.sagemaker.reached("gate", 1).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let opened = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            world.sagemaker.open_gate(1);
        };
        tokio::join!(moderate(&world, "spam=0.1", 5000), opened).0
    };
    let (first, second) = tokio::join!(moderate(&world, "spam=0.1", 5000), second);
    let statuses = (&first["calls"][0]["status"], &second["calls"][0]["status"]);
    assert_eq!(statuses, (&json!("timeout"), &json!("ok")));
    assert_eq!(world.sagemaker.payloads("gate").len(), 1);
}

#[tokio::test]
async fn a_model_that_says_it_is_not_ready_is_asked_until_it_is() {
    let one = world("waking").await;
    assert_eq!(moderate(&one, "spam=0.99", 20_000).await["decision"], "reject");
    let other = world("waking").await;
    // Less than the pauses before the fifth attempt, and enough for the first one.
    let first = moderate(&other, "spam=0.99", 600).await;
    assert_eq!((&first["degraded"], &first["calls"].as_array().unwrap().len()), (&json!(true), &1));
    assert_eq!(successor(&other, &first).await["decision"], "reject");
}

#[tokio::test]
async fn an_endpoint_that_throttles_is_spared_but_not_taken_for_broken() {
    let world = world("throttling").await;
    for n in 0..40 {
        let verdict = moderate(&world, &format!("{n}"), 5000).await;
        assert_eq!(verdict["calls"][0]["status"], "throttled");
    }
    let asked = world.sagemaker.payloads("throttling").len();
    assert!(asked < 40, "{asked}");
    assert_eq!(standing(&world).await["state"], "closed");
}

#[tokio::test]
async fn a_verdict_that_nobody_waits_for_outlasts_an_endpoints_failure() {
    let world = world("html").await;
    for n in 0..10 {
        moderate(&world, &format!("{n}"), 5000).await;
    }
    assert_ne!(standing(&world).await["state"], "closed");
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let review = content(json!({"fields": {"text": "spam=0.99"}})).to_string();
    let asked = world.send("POST", "/v1/moderate", &headers, review).await;
    assert_eq!(asked.status, 202);
    let scores = json!({"scores": {"spam": 0.99, "hate": 0.0, "alcohol": 0.0}});
    world.sagemaker.say("html", scores.to_string());
    let path = asked.headers["location"].to_str().unwrap().to_owned();
    until(async || world.get(&path).await.status == 200).await;
    let verdict = world.get(&path).await.json();
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("reject"), &json!(false)));
}

#[tokio::test]
async fn no_idle_connection_or_call_is_left_behind_by_a_caller_that_hangs_up() {
    let world = world("gate").await;
    let gone = tokio::time::timeout(Duration::from_millis(300), moderate(&world, "x", 20_000));
    assert!(gone.await.is_err());
    assert_eq!(standing(&world).await["in_flight"], 1, "it may be starting");
    world.sagemaker.open_gate(1);
    until(async || standing(&world).await["in_flight"] == 0).await;
}
