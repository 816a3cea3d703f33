//! Answers that are none: each is a failed call, decided by `on_failure`, by SageMaker's way as by
//! plain HTTP.

use serde_json::{Value, json};

use super::outbound::world;
use crate::support::World;

/// `{"scores": {"spam": 0}}`, compressed though nobody asked for that.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0x03, 0xab, 0x56, 0x2a, 0x4e, 0xce, 0x2f, 0x4a, 0x2d,
    0x56, 0xb2, 0x52, 0xa8, 0x56, 0x2a, 0x2e, 0x48, 0xcc, 0x05, 0x32, 0x0c, 0x6a, 0x6b, 0x01, 0xa0,
    0xe1, 0xda, 0x09, 0x17, 0, 0, 0,
];

/// What suits all forms of an answer, and this besides.
fn suiting(score: &str, rest: &str) -> String {
    let output =
        format!(r#"{{"name": "spam", "datatype": "FP64", "shape": [1, 1], "data": [{score}]}}"#);
    format!(
        r#"{{"scores": {{"spam": {score}}}, "outputs": [{output}],
             "predictions": [{{"p": {score}}}]{rest}}}"#
    )
}

/// The registrations of one endpoint of the stand-in, called in both ways, read in all forms.
fn registrations(world: &World, endpoint: &str) -> Vec<Value> {
    let http = format!("{}/endpoints/{endpoint}/invocations", world.sagemaker.url());
    let ways = [json!({"sagemaker": endpoint}), json!({"http": http})];
    let forms = [
        json!({"labels": ["spam"]}),
        json!({"protocol": "v2", "labels": ["spam"]}),
        json!({"scores": {"spam": "/predictions/0/p"}}),
    ];
    let pairs = ways.iter().flat_map(|way| forms.iter().map(move |form| (way, form)));
    let registration = |(way, form): (&Value, &Value)| {
        let mut registration = form.clone();
        registration["endpoint"] = way.clone();
        registration
    };
    pairs.map(registration).collect()
}

/// Has every registration of an endpoint asked, and checks what comes of the call.
async fn check(world: &World, endpoint: &str, decision: &str, status: &str) {
    for model in registrations(world, endpoint) {
        assert_eq!(world.change("models/spam", model.clone()).await.status, 204, "{model}");
        let verdict = world.moderate("").await;
        assert_eq!(verdict["calls"][0]["status"], status, "{model}: {verdict}");
        assert_eq!(verdict["decision"], decision, "{model}: {verdict}");
        assert_eq!(verdict["degraded"], status == "failed", "{model}: {verdict}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_failed_call_in_every_form() {
    let world = world(&["127.0.0.0/8"]).await;
    let whole = suiting("0", "");
    let deep = "[".repeat(100_000).into_bytes();
    let odd = [
        ("page", b"<html><body>secret</body></html>".to_vec()),
        ("half", whole.as_bytes()[..whole.len() - 1].to_vec()),
        ("error", suiting("0", r#", "error": "out of memory at secret""#).into_bytes()),
        ("code", suiting("0", r#", "error": {"code": 500}"#).into_bytes()),
        ("no-number", suiting("NaN", "").into_bytes()),
        ("infinite", suiting("1e400", "").into_bytes()),
        ("text", suiting(r#""0""#, "").into_bytes()),
        ("null", suiting("null", "").into_bytes()),
        ("more-than-one", suiting("1.5", "").into_bytes()),
        ("stranger", suiting("0", "").replace("spam", "cat").replace("\"p\"", "\"c\"").into()),
        ("compressed", GZIP.to_vec()),
        ("empty", Vec::new()),
        ("noise", vec![0xff; 1000]),
        ("deep", deep),
    ];
    for (endpoint, answer) in odd {
        world.sagemaker.say(endpoint, answer);
        check(&world, endpoint, "review", "failed").await;
    }
    // What all of them would be without their faults.
    world.sagemaker.say("fine", whole);
    check(&world, "fine", "approve", "ok").await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failed_call_that_is_made_again() {
    let world = world(&["127.0.0.0/8"]).await;
    for endpoint in ["cut", "half"] {
        check(&world, endpoint, "review", "failed").await;
        let asked = world.sagemaker.payloads(endpoint).len();
        assert!(asked > registrations(&world, endpoint).len(), "{endpoint}: {asked}");
    }
    world.sagemaker.say("fine", suiting("0", ""));
    check(&world, "fine", "approve", "ok").await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off_and_not_asked_for_again() {
    let world = world(&["127.0.0.0/8"]).await;
    for endpoint in ["endless", "head"] {
        check(&world, endpoint, "review", "failed").await;
        let asked = world.sagemaker.payloads(endpoint).len();
        assert_eq!(asked, registrations(&world, endpoint).len(), "{endpoint}");
        assert!(cause(&world, endpoint).await.contains("too large"), "{endpoint}");
    }
    // What is announced to be too large need not even come.
    let http = format!("{}/endpoints/long/invocations", world.sagemaker.url());
    world.change("models/spam", json!({"endpoint": {"http": http}})).await;
    assert_eq!(world.moderate("").await["calls"][0]["status"], "failed");
    assert_eq!(world.sagemaker.payloads("long").len(), 1);
    world.change("models/spam", json!({"endpoint": {"sagemaker": "spam"}})).await;
    assert_eq!(world.moderate("").await["calls"][0]["status"], "ok");
}

/// How an endpoint of the stand-in last failed.
async fn cause(world: &World, endpoint: &str) -> String {
    let all = world.get("/v1/endpoints").await.json();
    let standing = all["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .find(|standing| standing["endpoint"].as_str().unwrap().contains(endpoint));
    standing.unwrap()["last_cause"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_timeout() {
    let world = world(&["127.0.0.0/8"]).await;
    for endpoint in ["hanging", "announced", "drip"] {
        for model in registrations(&world, endpoint) {
            world.change("models/spam", model.clone()).await;
            let review = json!({"fields": {"text": endpoint}, "deadline_ms": 100});
            let verdict = world.moderate_with(review).await;
            assert_eq!(verdict["calls"][0]["status"], "timeout", "{endpoint}, {model}: {verdict}");
            let expected = (&json!("review"), &json!(true));
            assert_eq!(
                (&verdict["decision"], &verdict["degraded"]),
                expected,
                "{endpoint}, {model}"
            );
        }
    }
    world.change("models/spam", json!({"endpoint": {"sagemaker": "spam"}})).await;
    assert_eq!(world.moderate("spam=0.99").await["decision"], "reject");
}

#[tokio::test]
async fn what_decides_for_an_answer_that_is_none_is_on_failure() {
    let world = world(&["127.0.0.0/8"]).await;
    world.sagemaker.say("spam", suiting("0", r#", "error": "secret""#));
    for outcome in ["approve", "reject"] {
        let options = json!({"rules": {"spam": {"on_failure": outcome}}});
        world.change("scopes/client/plainstore", options).await;
        let verdict = world.moderate(outcome).await;
        assert_eq!(verdict["decision"], outcome, "{verdict}");
        assert!(!verdict.to_string().contains("secret"), "{verdict}");
    }
}
