//! Models that speak another protocol than our own container, or answer in a form of their own.

use serde_json::{Value, json};

use super::outbound::world;
use crate::support::World;

/// Registers the model in both ways with this besides; each time it is asked for a verdict.
async fn verdicts(world: &World, endpoint: &str, besides: Value) -> Vec<Value> {
    let http = format!("{}/endpoints/{endpoint}/invocations", world.sagemaker.url());
    let mut verdicts = Vec::new();
    for way in [json!({"sagemaker": endpoint}), json!({"http": http})] {
        let mut model = besides.clone();
        model["endpoint"] = way;
        let answer = world.change("models/spam", model).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let fields = json!({"title": "Hi", "text": "Free prize"});
        verdicts.push(world.moderate_with(json!({"fields": fields, "rating": 2})).await);
    }
    verdicts
}

fn texts(name: &str, text: &str) -> Value {
    let parameters = json!({"content_type": "str"});
    json!({"name": name, "datatype": "BYTES", "shape": [1], "data": [text],
           "parameters": parameters})
}

#[tokio::test]
async fn in_the_v2_protocol_a_model_gets_and_gives_tensors() {
    let world = world(&["127.0.0.0/8"]).await;
    let probabilities = json!({"name": "probabilities", "datatype": "FP32", "shape": [1, 2],
                               "data": [0.25, 0.75]});
    let label = json!({"name": "label", "datatype": "INT64", "shape": [1], "data": [1]});
    let answer = json!({"model_name": "spam", "model_version": "12",
                        "outputs": [label, probabilities]});
    world.sagemaker.say("classifier", answer.to_string());
    let model = json!({"protocol": "v2", "labels": ["ham", "spam"], "inputs": ["rating"]});
    for verdict in verdicts(&world, "classifier", model).await {
        assert_eq!(verdict["reasons"][0]["score"], 0.75, "{verdict}");
        assert_eq!(verdict["calls"][0]["version"], "12", "{verdict}");
    }
    let rating = json!({"name": "rating", "datatype": "FP64", "shape": [1], "data": [2]});
    let sent = json!({"inputs": [texts("text", "Free prize"), texts("title", "Hi"), rating]});
    assert_eq!(world.sagemaker.payloads("classifier"), [sent.clone(), sent]);
}

#[tokio::test]
async fn a_model_is_sent_the_fields_and_the_shape_that_it_takes() {
    let world = world(&["127.0.0.0/8"]).await;
    let score = json!({"name": "spam", "datatype": "FP32", "shape": [1, 1], "data": [[0.75]]});
    world.sagemaker.say("triton", json!({"outputs": [score]}).to_string());
    let model = json!({"protocol": "v2", "fields": ["text"], "tensor_shape": [1, 1]});
    for verdict in verdicts(&world, "triton", model).await {
        assert_eq!(verdict["reasons"][0]["score"], 0.75, "{verdict}");
    }
    let mut text = texts("text", "Free prize");
    text["shape"] = json!([1, 1]);
    let sent = json!({"inputs": [text]});
    assert_eq!(world.sagemaker.payloads("triton"), [sent.clone(), sent]);
}

#[tokio::test]
async fn scores_are_read_where_the_registration_says_they_stand() {
    let world = world(&["127.0.0.0/8"]).await;
    let answer = json!({"predictions": [{"p/all": [0.25, 0.75]}], "model": {"version": "b"}});
    world.sagemaker.say("own", answer.to_string());
    let scores = json!({"ham": "/predictions/0/p~1all/0", "spam": "/predictions/0/p~1all/1"});
    for verdict in verdicts(&world, "own", json!({"scores": scores, "fields": ["text"]})).await {
        assert_eq!(verdict["reasons"][0]["score"], 0.75, "{verdict}");
        assert_eq!(verdict["calls"][0]["version"], "b", "{verdict}");
    }
    let sent = json!({"text": "Free prize"});
    assert_eq!(world.sagemaker.payloads("own"), [sent.clone(), sent]);
    // The same places are of use in the v2 protocol.
    let answer = json!({"outputs": [{"name": "o", "data": [[0.25, 0.75]]}]});
    world.sagemaker.say("odd", answer.to_string());
    let model = json!({"protocol": "v2", "scores": {"spam": "/outputs/0/data/0/1"}});
    for verdict in verdicts(&world, "odd", model).await {
        assert_eq!(verdict["reasons"][0]["score"], 0.75, "{verdict}");
    }
}

#[tokio::test]
async fn rules_are_held_to_the_labels_that_have_a_place() {
    let world = world(&["127.0.0.0/8"]).await;
    let model = json!({"endpoint": {"sagemaker": "spam"}, "scores": {"ham": "/p"}});
    let fault = world.change("models/spam", model).await.refused(422);
    assert!(fault.contains("model `spam` has no label `spam`, only `ham`"), "{fault}");
    let model = json!({"endpoint": {"sagemaker": "spam"}, "scores": {"spam": "p"}});
    let fault = world.change("models/spam", model).await.refused(422);
    assert!(fault.starts_with("scores.spam: must be a JSON Pointer"), "{fault}");
}

#[tokio::test]
async fn a_place_that_is_mended_is_not_answered_for_from_what_was_read_elsewhere() {
    let world = world(&["127.0.0.0/8"]).await;
    world.sagemaker.say("mended", r#"{"good": 0.25, "bad": 0.75}"#);
    let digest = format!("sha256:{}", "a".repeat(64));
    let mut scores = Vec::new();
    for place in ["/good", "/bad"] {
        let model = json!({"endpoint": {"sagemaker": "mended"}, "digest": digest,
                           "scores": {"spam": place}});
        assert_eq!(world.change("models/spam", model).await.status, 204);
        let content = json!({"fields": {"text": "Free prize"}, "explain": true});
        scores.push(world.moderate_with(content).await["reasons"][0]["score"].clone());
    }
    assert_eq!(scores, [0.25, 0.75]);
}
