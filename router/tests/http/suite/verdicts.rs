//! What a review comes out as, and why.

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn a_verdict_names_the_rule_the_threshold_and_the_scope_that_set_it() {
    let world = World::new().await;
    let review = json!({"client": "alehouse", "fields": {"text": "spam=0.65"}});
    let mut verdict = world.moderate_with(review).await;
    assert_eq!(verdict["decision_id"].take().as_str().unwrap().len(), 36);
    assert!(verdict["calls"][0]["latency_ms"].take().as_f64().unwrap() > 0.0);
    let reason = json!({"rule": "spam", "model": "spam", "version": "7", "label": "spam", "score": 0.65,
                        "threshold": 0.6, "outcome": "review", "set_by": "industry/beer"});
    let expected = json!({
        "decision_id": null, "client": "alehouse", "content_id": "r-1", "decision": "review",
        "reasons": [reason], "policy_version": 5, "degraded": false,
        "calls": [{"model": "spam", "version": "7", "status": "ok", "latency_ms": null}],
    });
    assert_eq!(verdict, expected);
}

#[tokio::test]
async fn the_strictest_rule_decides() {
    let world = World::new().await;
    assert_eq!(world.moderate("spam=0.1").await["decision"], "approve");
    assert_eq!(world.moderate("spam=0.7").await["decision"], "review");
    assert_eq!(world.moderate("spam=0.95").await["decision"], "reject");
}

#[tokio::test]
async fn explain_lists_every_rule() {
    let world = World::new().await;
    let verdict =
        world.moderate_with(json!({"fields": {"text": "spam=0.2"}, "explain": true})).await;
    assert_eq!(verdict["decision"], "approve");
    let reason = &verdict["reasons"][0];
    assert_eq!(reason["outcome"], "approve");
    assert_eq!((&reason["threshold"], &reason["set_by"]), (&Value::Null, &Value::Null));
    assert_eq!(reason["score"], 0.2);
}

#[tokio::test]
async fn a_blank_text_is_moderated() {
    let world = World::new().await;
    assert_eq!(world.moderate("").await["decision"], "approve");
}

#[tokio::test]
async fn a_threshold_put_changes_the_very_next_verdict() {
    let world = World::new().await;
    assert_eq!(world.moderate("spam=0.5").await["decision"], "approve");
    let stricter =
        world.change("scopes/client/plainstore", json!({"rules": {"spam": {"review_at": 0.5}}}));
    assert_eq!(stricter.await.status, 204);
    let verdict = world.moderate("spam=0.5").await;
    assert_eq!(verdict["decision"], "review");
    assert_eq!(verdict["reasons"][0]["set_by"], "client/plainstore");
    assert_eq!(verdict["policy_version"], 6);
}

#[tokio::test]
async fn null_clears_an_inherited_threshold() {
    let world = World::new().await;
    let cleared = json!({"rules": {"spam": {"reject_at": null}}});
    assert_eq!(world.change("scopes/client/plainstore", cleared).await.status, 204);
    assert_eq!(world.moderate("spam=1").await["decision"], "review");
}

#[tokio::test]
async fn a_site_may_differ_from_its_client() {
    let world = World::new().await;
    let strict = json!({"rules": {"spam": {"reject_at": 0.7}}});
    world.add("scopes/client/plainstore/site/en-GB", strict).await;
    let decision = async |site: &str| {
        let content = json!({"site": site, "fields": {"text": "spam=0.8"}});
        world.moderate_with(content).await["decision"].clone()
    };
    assert_eq!(decision("en-GB").await, "reject");
    assert_eq!(decision("de-DE").await, "review");
}

#[tokio::test]
async fn each_model_is_called_once_and_gets_what_it_declares() {
    let world = World::new().await;
    let tone = json!({"endpoint": {"sagemaker": "tone"}, "inputs": ["rating", "locale"]});
    world.add("models/tone", tone).await;
    let rules = json!({"rules": {
        "hate": {"model": "tone", "label": "hate", "reject_at": 0.5},
        "alcohol": {"model": "tone", "label": "alcohol", "reject_at": 0.5}}});
    world.change("scopes/client/plainstore", rules).await;
    let content = json!({"fields": {"text": "alcohol=0.9", "title": "t"}, "rating": 5, "locale": "en_GB", "type": "review"});
    let verdict = world.moderate_with(content).await;
    assert_eq!(verdict["reasons"][0]["rule"], "alcohol");
    let fields = json!({"text": "alcohol=0.9", "title": "t"});
    assert_eq!(world.sagemaker.payloads("spam"), [fields]);
    let with_inputs = json!({"text": "alcohol=0.9", "title": "t", "rating": 5, "locale": "en_GB"});
    assert_eq!(world.sagemaker.payloads("tone"), [with_inputs]);
}

#[tokio::test]
async fn an_endpoint_may_be_given_by_its_arn() {
    let world = World::new().await;
    let arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/elsewhere";
    world.change("models/spam", json!({"endpoint": {"sagemaker": arn}})).await;
    assert_eq!(world.moderate("spam=0.8").await["decision"], "review");
    assert_eq!(world.sagemaker.payloads("elsewhere").len(), 1);
}
