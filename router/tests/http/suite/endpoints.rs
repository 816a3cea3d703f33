//! How the router treats endpoints that fail, and what it says of them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{World, content, until};

async fn standing(world: &World) -> Value {
    let all = world.get("/v1/endpoints").await.json();
    let all = all["endpoints"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["models"] == json!(["spam"])).unwrap()
}

async fn moderate(world: &World, text: &str) -> Value {
    world.moderate_with(json!({"fields": {"text": text}, "deadline_ms": 5000})).await
}

#[tokio::test]
async fn an_endpoint_that_fails_again_and_again_is_left_alone_until_it_answers() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "html"}})).await;
    for n in 0..20 {
        assert_eq!(moderate(&world, &format!("{n}")).await["calls"][0]["status"], "failed");
    }
    let asked = world.sagemaker.payloads("html").len();
    assert!(asked < 20, "{asked}");
    let standing = standing(&world).await;
    assert_eq!(
        (&standing["state"], &standing["endpoint"]),
        (&json!("open"), &json!("sagemaker:html"))
    );
    assert!(standing["last_cause"].is_string());
    let until: Timestamp = standing["open_until"].as_str().unwrap().parse().unwrap();
    let failed: Timestamp = standing["last_failure"].as_str().unwrap().parse().unwrap();
    assert!(until > failed, "{standing}");
    assert!(!standing.to_string().contains("Bad gateway"));
}

#[tokio::test]
async fn one_content_that_breaks_a_model_opens_no_breaker() {
    for endpoint in ["crashed", "refusing"] {
        let world = World::new().await;
        world.change("models/spam", json!({"endpoint": {"sagemaker": endpoint}})).await;
        for _ in 0..50 {
            assert_eq!(moderate(&world, "poison").await["calls"][0]["status"], "failed");
        }
        let standing = standing(&world).await;
        assert_eq!(standing["state"], "closed", "{endpoint}: {standing}");
        let asked = world.sagemaker.payloads(endpoint).len();
        // A model that failed at a content is asked a second time once; a refusal is an answer.
        assert_eq!(asked, if endpoint == "crashed" { 51 } else { 50 });
    }
}

#[tokio::test]
async fn many_refused_contents_open_no_breaker_either() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "refusing"}})).await;
    for n in 0..40 {
        moderate(&world, &format!("{n}")).await;
    }
    assert_eq!(world.sagemaker.payloads("refusing").len(), 40);
    assert_eq!(standing(&world).await["state"], "closed");
}

#[tokio::test]
async fn equal_contents_at_the_same_time_are_scored_once() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "gate"}})).await;
    let open = async {
        world.sagemaker.reached("gate", 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.sagemaker.open_gate(10);
    };
    let same = || moderate(&world, "spam=0.9");
    let (one, two, three, ()) = tokio::join!(same(), same(), same(), open);
    for verdict in [one, two, three] {
        assert_eq!(
            (&verdict["calls"][0]["status"], &verdict["degraded"]),
            (&json!("ok"), &json!(false))
        );
    }
    assert_eq!(world.sagemaker.payloads("gate").len(), 1);
}

#[tokio::test]
async fn a_model_with_a_digest_is_not_asked_twice_and_never_answered_for_by_another() {
    let world = World::new().await;
    let digest = |n: u8| format!("sha256:{}", format!("{n:02x}").repeat(32));
    let model = |n: u8| json!({"endpoint": {"sagemaker": "digest"}, "digest": digest(n)});
    world.change("models/spam", model(1)).await;
    let status = async |text: &str| moderate(&world, text).await["calls"][0]["status"].clone();
    assert_eq!(status("spam=0.9 digest=1").await, "ok");
    assert_eq!(status("spam=0.9 digest=1").await, "cached");
    // Another package under the same endpoint's name has no scores yet.
    world.change("models/spam", model(2)).await;
    assert_eq!(status("spam=0.9 digest=1").await, "ok");
    // What answers is not what is registered: nothing is kept.
    assert_eq!(status("spam=0.9 digest=1").await, "ok");
    world.change("models/spam", model(1)).await;
    assert_eq!(status("spam=0.9 digest=1").await, "cached");
    assert_eq!(status("spam=0.1 digest=3").await, "ok");
    assert_eq!(status("spam=0.9 digest=1").await, "ok", "the endpoint has changed");
}

/// The lines of the metrics that have all of this in them.
async fn metrics(world: &World, parts: &[&str]) -> Vec<String> {
    let text = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
    let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
    text.lines().filter(has_all).map(str::to_owned).collect()
}

#[tokio::test]
async fn calls_that_wait_for_their_turn_are_shown() {
    let world = World::new().await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": 1});
    world.change("models/spam", gate).await;
    let look = async {
        until(async || standing(&world).await["waiting"] == 2).await;
        let seen = standing(&world).await;
        assert_eq!((&seen["in_flight"], &seen["open_until"]), (&json!(1), &Value::Null));
        let gauge = metrics(&world, &["endpoint_waiting{", "sagemaker:gate"]).await;
        assert!(gauge.len() == 1 && gauge[0].ends_with("} 2"), "{gauge:?}");
        world.sagemaker.open_gate(3);
    };
    let verdicts =
        async { tokio::join!(moderate(&world, "a"), moderate(&world, "b"), moderate(&world, "c")) };
    let (verdicts, ()) = tokio::join!(verdicts, look);
    for verdict in [verdicts.0, verdicts.1, verdicts.2] {
        assert_eq!(verdict["calls"][0]["status"], "ok", "{verdict}");
    }
    assert_eq!(standing(&world).await["waiting"], 0);
    let gauge = metrics(&world, &["endpoint_waiting{", "sagemaker:gate"]).await;
    assert!(gauge[0].ends_with("} 0"), "{gauge:?}");
}

#[tokio::test]
async fn a_client_with_many_contents_does_not_keep_another_from_its_turn() {
    let world = World::new().await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": 1});
    world.change("models/spam", gate).await;
    let ask = async |client: &str, text: String| {
        let review = json!({"client": client, "fields": {"text": text}, "deadline_ms": 20_000});
        world.moderate_with(review).await
    };
    let many = futures_util::future::join_all((0..8).map(|n| ask("plainstore", format!("{n}"))));
    let other = async {
        until(async || standing(&world).await["waiting"] == 7).await;
        let asked = ask("alehouse", "other".to_owned());
        let open = async {
            until(async || standing(&world).await["waiting"] == 8).await;
            world.sagemaker.open_gate(9);
        };
        tokio::join!(asked, open)
    };
    tokio::join!(many, other);
    let order = world.sagemaker.payloads("gate");
    let place = order.iter().position(|payload| payload["text"] == "other").unwrap();
    // One is under way, and one of the first client's came first in the line.
    assert_eq!(place, 2, "{order:?}");
}

#[tokio::test]
async fn what_is_known_of_an_endpoint_outlives_a_change_of_its_model() {
    let world = World::new().await;
    let html = |timeout: u64| json!({"endpoint": {"sagemaker": "html"}, "timeout_ms": timeout});
    world.change("models/spam", html(100)).await;
    for n in 0..10 {
        moderate(&world, &format!("{n}")).await;
    }
    let counted = ["endpoint_attempts_total", "sagemaker:html", "failed"];
    let before = metrics(&world, &counted).await;
    let asked = world.sagemaker.payloads("html").len();
    world.change("models/spam", html(200)).await;
    assert_ne!(standing(&world).await["state"], "closed");
    assert_eq!(before.len(), 1);
    assert_eq!(metrics(&world, &counted).await, before, "{asked}");
    // Its series go with its last registration.
    world.change("models/spam", json!({"endpoint": {"sagemaker": "spam"}})).await;
    assert!(metrics(&world, &["sagemaker:html"]).await.is_empty());
}

#[tokio::test]
async fn the_series_of_a_client_go_with_its_options() {
    let world = World::new().await;
    moderate(&world, "spam=0.1").await;
    let series = async || metrics(&world, &["client_decisions_total", "plainstore"]).await;
    assert_eq!(series().await.len(), 1);
    let deleted = world.send("DELETE", "/v1/scopes/client/plainstore", &[], "").await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert!(series().await.is_empty());
}

#[tokio::test]
async fn the_calls_of_a_client_that_goes_away_are_given_up() {
    let world = World::new().await;
    let hang = json!({"endpoint": {"sagemaker": "hang"}, "max_concurrency": 3});
    world.change("models/spam", hang).await;
    let body = content(json!({"fields": {"text": "hang"}})).to_string();
    let head =
        "POST /v1/moderate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    for round in 0..3 {
        let mut connection = TcpStream::connect(world.address()).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        until(async || standing(&world).await["in_flight"] == 1).await;
        drop(connection);
        // An endpoint that answers what came later is not starting: nothing more is awaited.
        assert_eq!(moderate(&world, &format!("{round}")).await["calls"][0]["status"], "ok");
        until(async || standing(&world).await["in_flight"] == 0).await;
    }
    assert_eq!(standing(&world).await["waiting"], 0);
    assert_eq!(world.sagemaker.payloads("hang").len(), 6);
    world.stop().await;
}

#[tokio::test]
async fn a_shadow_that_has_no_place_is_left_out_rather_than_awaited() {
    let world = World::new().await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": 1, "sample": 1.0,
                      "stage": "shadow"});
    world.add("models/spam-shadow", gate).await;
    moderate(&world, "first").await;
    world.sagemaker.reached("gate", 1).await;
    for n in 0..4 {
        moderate(&world, &format!("{n}")).await;
    }
    world.sagemaker.open_gate(5);
    let seen = async || world.get("/v1/models/spam/shadow").await.json()["compared"].clone();
    until(async || seen().await == 1).await;
    // Once its place is free it looks again, and only those who were left out it never sees.
    until(async || {
        moderate(&world, "last").await;
        world.sagemaker.payloads("gate").len() > 1
    })
    .await;
    let sent = world.sagemaker.payloads("gate");
    let texts: Vec<_> = sent.iter().map(|payload| payload["text"].as_str().unwrap()).collect();
    assert_eq!(texts[..2], ["first", "last"]);
}
