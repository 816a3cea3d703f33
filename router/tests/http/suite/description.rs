//! What the router says of itself: its description, the page that shows it, its metrics.

use serde_json::{Value, json};

use crate::support::{World, content};

#[tokio::test]
async fn the_api_is_described_as_openapi() {
    let world = World::empty().await;
    let answer = world.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["security"], json!([{"key": []}]));
    for (path, method, statuses) in [
        ("/v1/moderate", "post", "200 202 400 401 403 404 408 413 415 422 429 503"),
        ("/v1/scopes/client/{name}", "put", "201 204 400 401 403 408 412 413 415 422 428 429 503"),
        ("/v1/decisions/{id}", "get", "200 202 400 401 403 404 422 429 503"),
        ("/livez", "get", "200 403"),
    ] {
        let responses = document["paths"][path][method]["responses"].as_object().unwrap();
        let found: Vec<_> = responses.keys().map(String::as_str).collect();
        assert_eq!(found.join(" "), statuses, "{method} {path}");
    }
    for reference in references(&document) {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "nothing is at {reference}");
    }
    let rule = &document["components"]["schemas"]["RuleOptions"];
    assert_eq!(rule["additionalProperties"], false);
    let name = &document["components"]["schemas"]["Name"]["pattern"];
    assert_eq!(name, "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$");
}

/// All `$ref`s in a document.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(values) => values.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_page_of_the_api_fetches_nothing_from_elsewhere() {
    let world = World::empty().await;
    let entrance = world.get("/docs").await;
    assert_eq!(entrance.status, 308);
    assert_eq!(entrance.headers["location"], "/docs/");
    let page = world.get("/docs/").await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    let loaded: Vec<_> = ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(loaded.len(), 7, "{html}");
    for name in loaded {
        let name = name.strip_prefix("./").unwrap_or(name);
        assert!(!name.contains([':', '/']), "{name} is elsewhere");
        let answer = world.get(&format!("/docs/{name}")).await;
        assert_eq!(answer.status, 200, "{name}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("//"), "{policy}");
        let text = String::from_utf8_lossy(&answer.body);
        if name.ends_with(".css") {
            assert!(
                !text.contains("@import") && !text.contains("url(http") && !text.contains("url(//")
            );
        }
        if name == "swagger-initializer.js" {
            assert!(!text.contains("://"), "{text}");
            assert!(text.contains("../openapi.json"), "{text}");
        }
    }
    assert!(page.headers.contains_key("content-security-policy"));
    for missing in ["/docs/nothing.js", "/docs/..%2fapi.rs", "/docs/%ff"] {
        world.get(missing).await.refused(404);
    }
}

#[tokio::test]
async fn metrics_count_what_the_router_does() {
    let world = World::new().await;
    world.moderate("spam=0.8").await;
    world.moderate("spam=0.1").await;
    let dry = content(json!({"fields": {"text": "spam=0.8"}, "dry_run": true})).to_string();
    assert_eq!(world.post("/v1/moderate", dry).await.status, 200);
    let answer = world.get("/metrics").await;
    let content_type = answer.headers["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "gatehouse_router_policy_version 5\n",
        "gatehouse_router_database_up 1\n",
        "gatehouse_router_decisions_total{decision=\"review\",degraded=\"false\"} 1\n",
        "gatehouse_router_decisions_total{decision=\"approve\",degraded=\"false\"} 1\n",
        "gatehouse_router_model_calls_total{status=\"ok\"} 3\n",
    ] {
        assert!(text.contains(line), "no {line} in:\n{text}");
    }
    let ready = world.get("/readyz").await.json();
    assert_eq!(ready, json!({"status": "ready", "policy_version": 5, "database": "up"}));
}

#[tokio::test]
async fn a_key_is_needed_for_metrics_and_none_for_the_description() {
    let world = World::empty().await;
    let admin = key(&world, "admin", &[]).await;
    let bearer = format!("Bearer {admin}");
    let ingest = key(&world, "ingest:a", &[("authorization", &bearer)]).await;
    world.get("/metrics").await.refused(401);
    let ingest = format!("Bearer {ingest}");
    let refused = world.send("GET", "/metrics", &[("authorization", &ingest)], "").await;
    assert!(refused.refused(403).contains("`read:*`"));
    let metrics = world.send("GET", "/metrics", &[("authorization", &bearer)], "").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("gatehouse_router_unauthorized_requests_total 1\n"), "{text}");
    for open in ["/openapi.json", "/docs/", "/docs/index.css", "/livez", "/readyz"] {
        assert_eq!(world.get(open).await.status, 200, "{open}");
    }
}

/// Makes a key with one scope.
async fn key(world: &World, scope: &str, headers: &[(&str, &str)]) -> String {
    let body = json!({"owner": scope, "scopes": [scope]}).to_string();
    let headers = [&[("content-type", "application/json")], headers].concat();
    let answer = world.send("POST", "/v1/keys", &headers, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_refusal_is_a_problem_and_says_which_methods_there_are() {
    let world = World::new().await;
    for (method, path, status, allow) in [
        ("GET", "/", 404, None),
        ("GET", "/v1/models/", 404, None),
        ("GET", "/v1/scopes/", 404, None),
        ("OPTIONS", "/v1/models", 405, Some("GET,HEAD")),
        ("TRACE", "/v1/models/spam", 405, Some("GET,HEAD,PUT,DELETE")),
        ("GET", "/v1/moderate", 405, Some("POST")),
        ("DELETE", "/docs/", 405, Some("GET,HEAD")),
        ("BREW", "/v1/scopes/platform", 405, Some("GET,HEAD,PUT,DELETE")),
        ("GET", "/v1/models/%ff", 400, None),
        ("GET", "/v1/models/a%2Fb", 422, None),
        ("GET", "/v1/scopes/%ff", 400, None),
        ("GET", "/v1/scopes/client", 422, None),
        ("GET", "/v1/decisions/%ff", 404, None),
        ("GET", "/v1/clients/plainstore/effective?site=%ff", 400, None),
        ("GET", "/v1/policy/versions?limit=x", 400, None),
        ("GET", "/v1/policy/versions?limit=1&limit=2", 400, None),
        ("GET", "/v1/policy/versions/1.5", 422, None),
    ] {
        let answer = world.send(method, path, &[], "").await;
        answer.refused(status);
        let allowed = answer.headers.get("allow").map(|allow| allow.to_str().unwrap());
        assert_eq!(allowed, allow, "{method} {path}");
    }
    let long = format!("/v1/models/{}", "x".repeat(50_000));
    world.get(&long).await.refused(422);
    let head = world.send("HEAD", "/v1/models/none", &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
    assert_eq!(head.headers["content-type"], "application/problem+json");
}
