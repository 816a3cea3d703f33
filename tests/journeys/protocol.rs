//! The model container behind the router at a URL of its own, in both of the protocols it speaks.

use serde_json::{Value, json};

use crate::support::{Answer, Server, gatehouse, repository, send};

fn put(router: &str, path: &str, document: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("if-none-match", "*")];
    send(router, "PUT", path, &headers, document.to_string())
}

#[test]
fn a_model_has_the_same_score_to_the_bit_by_its_own_protocol_and_by_v2() {
    let mut container = gatehouse();
    container.args(["model", "serve", "--listen", "127.0.0.1:0", "--model-dir"]);
    let mut container = Server::start(container.arg(repository("examples/models/spam")));
    let container_url = container.line("listening on ");
    let data = tempfile::tempdir().unwrap();
    let mut router = gatehouse();
    router.args(["router", "--listen", "127.0.0.1:0", "--allow-net", "127.0.0.0/8"]);
    // Nobody is there: SageMaker is not called.
    router.args(["--sagemaker-endpoint-url", "http://127.0.0.1:9"]);
    router.arg("--database").arg(format!("sqlite://{}/gatehouse.db", data.path().display()));
    let mut router = Server::start(router.arg("--spool").arg(data.path().join("spool")));
    let router_url = router.line("router listening on ");

    let infer = format!("{container_url}/v2/models/spam/infer");
    let places = json!({"ham": "/outputs/2/data/0", "spam": "/outputs/2/data/1"});
    let models = [
        ("own", json!({"endpoint": {"http": format!("{container_url}/invocations")}})),
        ("tensors", json!({"endpoint": {"http": infer}, "protocol": "v2"})),
        (
            "places",
            json!({"endpoint": {"http": infer}, "protocol": "v2", "scores": places,
                   "tensor_shape": [1, 1], "fields": ["title", "text"]}),
        ),
    ];
    let mut rules = json!({});
    for (name, model) in models {
        let answer = put(&router_url, &format!("/v1/models/{name}"), &model);
        assert_eq!(answer.status, 201, "{answer:?}");
        rules[name] = json!({"model": name, "label": "spam", "review_at": 0.5, "required": true});
    }
    assert_eq!(put(&router_url, "/v1/scopes/platform", &json!({"rules": rules})).status, 201);
    assert_eq!(put(&router_url, "/v1/scopes/client/shop", &json!({})).status, 201);

    for text in ["Call now to claim your free prize", "Préféré: \"ça\" 🎉", ""] {
        let content = json!({"client": "shop", "content_id": "r-1", "explain": true,
                             "fields": {"title": "Hi", "text": text}});
        let headers = [("content-type", "application/json")];
        let answer = send(&router_url, "POST", "/v1/moderate", &headers, content.to_string());
        let verdict = answer.json();
        let reasons = verdict["reasons"].as_array().unwrap();
        let scores: Vec<_> = reasons.iter().map(|reason| reason["score"].as_f64()).collect();
        assert_eq!(scores.len(), 3, "{verdict}");
        assert!(scores[0].is_some() && scores.iter().all(|it| *it == scores[0]), "{verdict}");
        assert!(reasons.iter().all(|reason| reason["version"] == "1"), "{verdict}");
    }
}
