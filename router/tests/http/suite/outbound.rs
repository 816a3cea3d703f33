//! Models at URLs of their own, and the addresses that are not called.

use router::Config;
use serde_json::json;

use crate::support::{Database, SageMaker, World, config, content};

/// A router that may call these networks, with one rule.
pub(super) async fn world(allow_net: &[&str]) -> World {
    let (sagemaker, database) = (SageMaker::start().await, Database::new());
    let allow_net = allow_net.iter().map(|net| net.parse().unwrap()).collect();
    let config = Config { allow_net, ..config(&database, &sagemaker) };
    let world = World::run(config, sagemaker, database).await;
    world.add("models/spam", json!({"endpoint": {"sagemaker": "spam"}})).await;
    let spam = json!({"model": "spam", "label": "spam", "review_at": 0.7, "reject_at": 0.95});
    world.add("scopes/platform", json!({"rules": {"spam": spam}})).await;
    world.add("scopes/client/plainstore", json!({})).await;
    world
}

impl World {
    /// Has the model answer at this endpoint of the stand-in, called as any other server.
    async fn point_to(&self, host: &str, endpoint: &str) {
        let url = self.sagemaker.url().replace("127.0.0.1", host);
        let http = format!("{url}/endpoints/{endpoint}/invocations");
        let model = json!({"endpoint": {"http": http}, "timeout_ms": 1000, "inputs": ["rating"]});
        let answer = self.change("models/spam", model).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}

#[tokio::test]
async fn a_model_at_a_url_is_asked_as_sagemaker_would() {
    let world = world(&["127.0.0.0/8"]).await;
    world.point_to("127.0.0.1", "spam").await;
    let review = json!({"fields": {"text": "spam=0.8"}, "rating": 5});
    let verdict = world.moderate_with(review).await;
    assert_eq!(verdict["decision"], "review");
    assert_eq!(verdict["reasons"][0]["score"], 0.8);
    assert_eq!(verdict["calls"][0]["version"], "7");
    assert_eq!(world.sagemaker.payloads("spam"), [json!({"text": "spam=0.8", "rating": 5})]);
}

#[tokio::test]
async fn what_goes_wrong_has_the_status_that_it_has_with_sagemaker() {
    let world = world(&["127.0.0.0/8"]).await;
    for (endpoint, status) in [
        ("cold", "throttled"),
        ("unavailable", "throttled"),
        ("throttling", "failed"),
        ("crashed", "failed"),
        ("cut", "failed"),
        ("huge", "failed"),
        ("html", "failed"),
        ("nan", "failed"),
        ("hanging", "timeout"),
        ("moved", "failed"),
    ] {
        world.point_to("127.0.0.1", endpoint).await;
        let verdict = world.moderate("spam=0.8").await;
        assert_eq!(verdict["calls"][0]["status"], status, "{endpoint}");
    }
    // Where the redirect leads to.
    assert!(world.sagemaker.payloads("spam").is_empty());
    let nobody = json!({"endpoint": {"http": "http://127.0.0.1:1/"}});
    world.change("models/spam", nobody).await;
    assert_eq!(world.moderate("").await["calls"][0]["status"], "failed");
}

#[tokio::test]
async fn private_addresses_are_refused_when_they_are_written() {
    let world = world(&[]).await;
    for url in [
        "http://127.0.0.1:9/",
        "http://10.0.0.1/",
        "https://192.168.1.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd12::1]/",
    ] {
        let model = json!({"endpoint": {"http": url}});
        let fault = world.change("models/spam", model).await.refused(422);
        assert!(fault.starts_with("endpoint.http: ") && fault.contains("--allow-net"), "{fault}");
    }
}

#[tokio::test]
async fn a_name_is_no_way_round() {
    let world = world(&["10.0.0.0/8"]).await;
    world.point_to("localhost", "spam").await;
    let verdict = world.moderate("spam=0.8").await;
    assert_eq!(verdict["calls"][0]["status"], "failed");
    // The system's resolver takes these for addresses, although they are none in a URL.
    for disguised in ["2130706433", "0x7f.1", "127.1"] {
        world.point_to(disguised, "spam").await;
        assert_eq!(world.moderate("spam=0.8").await["calls"][0]["status"], "failed");
    }
    assert!(world.sagemaker.payloads("spam").is_empty());
}

#[tokio::test]
async fn metadata_is_never_called_whatever_is_allowed() {
    let world = world(&["0.0.0.0/0", "::/0"]).await;
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:8080/",
        "http://me:secret@model.example/",
        "ftp://model.example/",
    ] {
        let model = json!({"endpoint": {"http": url}});
        let fault = world.change("models/spam", model).await.refused(422);
        assert!(
            fault.starts_with("endpoint.http: ") && !fault.contains("secret"),
            "{url}: {fault}"
        );
    }
    world.point_to("0xa9fea9fe", "spam").await;
    let body = content(json!({"fields": {"text": ""}, "deadline_ms": 3000}));
    let verdict = world.post("/v1/moderate", body.to_string()).await.json();
    assert_eq!(verdict["calls"][0]["status"], "failed");
}
