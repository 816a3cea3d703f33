//! What a verdict is when models fail: never an error.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;

/// The verdict on a harmless text when the model stands at this endpoint.
async fn verdict_of(world: &World, endpoint: &str) -> Value {
    let model = json!({"endpoint": {"sagemaker": endpoint}, "version": "1", "timeout_ms": 5000});
    assert_eq!(world.change("models/spam", model).await.status, 204);
    world.moderate("spam=0").await
}

#[tokio::test]
async fn a_failed_call_is_reviewed_and_says_its_cause() {
    let world = World::new().await;
    for (endpoint, status) in [
        ("throttling", "throttled"),
        ("full", "throttled"),
        ("crashed", "failed"),
        ("cold", "throttled"),
        ("unavailable", "throttled"),
        ("cut", "failed"),
        ("list", "failed"),
        ("twice", "failed"),
        ("html", "failed"),
        ("nan", "failed"),
        ("two", "failed"),
        ("huge", "failed"),
    ] {
        let verdict = verdict_of(&world, endpoint).await;
        assert_eq!(verdict["decision"], "review", "{endpoint}");
        assert_eq!(verdict["degraded"], true, "{endpoint}");
        assert_eq!(verdict["calls"][0]["status"], status, "{endpoint}");
        let reason = &verdict["reasons"][0];
        assert_eq!(
            (&reason["cause"], &reason["version"]),
            (&json!(status), &json!("1")),
            "{endpoint}"
        );
        assert_eq!((&reason["score"], &reason["threshold"]), (&Value::Null, &Value::Null));
        let is_retried = matches!(status, "throttled") || matches!(endpoint, "crashed" | "cut");
        let asked = world.sagemaker.payloads(endpoint).len();
        assert_eq!(asked > 1, is_retried, "{endpoint} was asked {asked} times");
    }
}

#[tokio::test]
async fn on_failure_decides_for_the_rule_that_has_no_score() {
    let world = World::new().await;
    for outcome in ["approve", "reject"] {
        let rule = json!({"rules": {"spam": {"on_failure": outcome}}});
        world.change("scopes/client/plainstore", rule).await;
        let verdict = verdict_of(&world, "throttling").await;
        assert_eq!(verdict["decision"], outcome);
        let set_by = json!("client/plainstore");
        assert_eq!(verdict["reasons"][0]["set_by"] == set_by, outcome == "reject");
    }
}

#[tokio::test]
async fn a_label_that_the_model_does_not_know_is_a_failed_call() {
    let world = World::new().await;
    world.change("scopes/client/plainstore", json!({"rules": {"spam": {"label": "eggs"}}})).await;
    assert_eq!(world.moderate("spam=1").await["calls"][0]["status"], "failed");
}

#[tokio::test]
async fn one_failing_model_leaves_the_others_alone() {
    let world = World::new().await;
    world.add("models/broken", json!({"endpoint": {"sagemaker": "html"}})).await;
    let rule = json!({"model": "broken", "label": "x", "on_failure": "review"});
    world.change("scopes/client/plainstore", json!({"rules": {"odd": rule}})).await;
    let verdict = world.moderate("spam=0.99").await;
    // The score that is missing could not have made it stricter.
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("reject"), &json!(false)));
    assert_eq!(verdict["reasons"].as_array().unwrap().len(), 1);
    let verdict = world.moderate("spam=0.1").await;
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(true)));
}

#[tokio::test]
async fn the_deadline_bounds_the_verdict() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "hanging"}})).await;
    let started = Instant::now();
    let verdict = world.moderate_with(json!({"fields": {"text": ""}, "deadline_ms": 100})).await;
    assert_eq!(verdict["reasons"][0]["cause"], "timeout");
    assert!(started.elapsed().as_millis() < 5000);
}

#[tokio::test]
async fn a_models_own_timeout_bounds_its_call() {
    let world = World::new().await;
    let model = json!({"endpoint": {"sagemaker": "hanging"}, "timeout_ms": 50});
    world.change("models/spam", model).await;
    assert_eq!(world.moderate("").await["calls"][0]["status"], "timeout");
}

#[tokio::test]
async fn a_model_that_is_switched_off_is_skipped() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "spam"}, "enabled": false})).await;
    let verdict = world.moderate("spam=1").await;
    assert_eq!(verdict["calls"][0]["status"], "skipped");
    assert_eq!(verdict["reasons"][0]["cause"], "skipped");
    assert_eq!(verdict["decision"], "review");
    assert!(world.sagemaker.payloads("spam").is_empty());
}

#[tokio::test]
async fn calls_over_the_models_concurrency_wait_for_their_turn() {
    let world = World::new().await;
    let model = json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": 1});
    world.change("models/spam", model).await;
    let gatekeeper = async {
        world.sagemaker.reached("gate", 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let at_once = world.sagemaker.payloads("gate").len();
        world.sagemaker.open_gate(2);
        at_once
    };
    let (one, two, at_once) =
        tokio::join!(world.moderate("one"), world.moderate("two"), gatekeeper);
    assert_eq!((&one["degraded"], &two["degraded"], at_once), (&json!(false), &json!(false), 1));
}

#[tokio::test]
async fn calls_under_way_count_when_a_model_is_deleted_and_registered_anew() {
    let world = World::new().await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": 1});
    let rules =
        json!({"rules": {"odd": {"model": "m", "label": "spam"}, "spam": {"enabled": false}}});
    world.add("models/m", gate.clone()).await;
    world.change("scopes/client/plainstore", rules.clone()).await;
    let again = async {
        world.sagemaker.reached("gate", 1).await;
        world.change("scopes/client/plainstore", json!({})).await;
        assert_eq!(world.send("DELETE", "/v1/models/m", &[], "").await.status, 204);
        world.add("models/m", gate).await;
        world.change("scopes/client/plainstore", rules).await;
        let second = world.moderate_with(json!({"fields": {"text": ""}, "deadline_ms": 100})).await;
        assert_eq!(world.sagemaker.payloads("gate").len(), 1);
        world.sagemaker.open_gate(2);
        second
    };
    let (first, second) = tokio::join!(world.moderate(""), again);
    assert_eq!(
        (&first["calls"][0]["status"], &second["calls"][0]["status"]),
        (&json!("ok"), &json!("timeout"))
    );
}

#[tokio::test]
async fn a_higher_concurrency_holds_for_the_calls_that_wait() {
    let world = World::new().await;
    let gate = |calls| json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": calls});
    world.change("models/spam", gate(1)).await;
    let gatekeeper = async {
        world.sagemaker.reached("gate", 1).await;
        world.change("models/spam", gate(2)).await;
        world.sagemaker.reached("gate", 2).await;
        world.sagemaker.open_gate(2);
    };
    let (one, two, ()) = tokio::join!(world.moderate("one"), world.moderate("two"), gatekeeper);
    assert_eq!((&one["degraded"], &two["degraded"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn the_wait_for_a_turn_ends_with_the_deadline() {
    let world = World::new().await;
    let model = json!({"endpoint": {"sagemaker": "hanging"}, "max_concurrency": 1});
    world.change("models/spam", model).await;
    let first = world.moderate_with(json!({"fields": {"text": ""}, "deadline_ms": 2000}));
    let second = async {
        world.sagemaker.reached("hanging", 1).await;
        world.moderate_with(json!({"fields": {"text": "other"}, "deadline_ms": 50})).await
    };
    let (_, second) = tokio::join!(first, second);
    assert_eq!(second["calls"][0]["status"], "timeout");
    assert_eq!(world.sagemaker.payloads("hanging").len(), 1);
}

#[tokio::test]
async fn models_are_called_side_by_side() {
    let world = World::new().await;
    let mut rules = json!({"spam": {"enabled": false}});
    for i in 0..10 {
        world.add(&format!("models/m{i}"), json!({"endpoint": {"sagemaker": "gate"}})).await;
        rules[format!("r{i}")] = json!({"model": format!("m{i}"), "label": "spam"});
    }
    world.change("scopes/client/plainstore", json!({"rules": rules})).await;
    // No call is answered before all have been made.
    let gatekeeper = async {
        world.sagemaker.reached("gate", 10).await;
        world.sagemaker.open_gate(10);
    };
    let (verdict, ()) = tokio::join!(world.moderate(""), gatekeeper);
    assert_eq!(verdict["degraded"], false, "{verdict}");
}

#[tokio::test]
async fn a_runtime_that_is_not_there_is_a_failed_call() {
    let world = World::new().await;
    let (sagemaker, database) = world.stop().await;
    let mut config = crate::support::config(&database, &sagemaker);
    config.sagemaker_endpoint_url = Some("http://127.0.0.1:9".parse().unwrap());
    let world = World::run(config, sagemaker, database).await;
    assert_eq!(world.moderate("spam=1").await["calls"][0]["status"], "failed");
}
