//! Several routers on one database, and many who change its options at once.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{World, content};

const WRITERS: usize = 32;

#[tokio::test]
async fn no_change_of_many_writers_is_lost_and_none_fails() {
    let one = World::new().await;
    let routers = [one.beside().await, one.beside().await, one];
    let writers = (0..WRITERS).map(|i| raise(&routers[i % routers.len()]));
    let verdicts = (0..WRITERS).map(async |i| {
        let content = content(json!({"fields": {"text": "spam=0.5"}})).to_string();
        assert_eq!(routers[i % routers.len()].post("/v1/moderate", content).await.status, 200);
    });
    tokio::join!(join_all(writers), join_all(verdicts));
    let last = 5 + i64::try_from(WRITERS).unwrap();
    for router in &routers {
        router.in_force(last).await;
        let kept = router.get("/v1/scopes/client/plainstore").await.json();
        assert_eq!(kept, deadline(WRITERS as u64 + 1));
    }
    let versions = routers[0].get("/v1/policy/versions?limit=500").await.json();
    let numbers: Vec<_> =
        versions["versions"].as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(numbers, (1..=last).rev().collect::<Vec<_>>());
}

fn deadline(millis: u64) -> Value {
    json!({"defaults": {"deadline_ms": millis}})
}

/// Adds one to a deadline, which others do at the same time.
async fn raise(router: &World) {
    loop {
        let current = router.get("/v1/scopes/client/plainstore").await;
        let etag = current.headers["etag"].to_str().unwrap().to_owned();
        let millis = current.json()["defaults"]["deadline_ms"].as_u64().unwrap_or(1);
        let headers = [("if-match", etag.as_str())];
        let answer = router.put("scopes/client/plainstore", &headers, deadline(millis + 1)).await;
        match answer.status.as_u16() {
            204 => return,
            412 => {}
            _ => panic!("{answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_version_of_many_documents_is_followed_as_a_whole() {
    let one = World::new().await;
    let other = one.beside().await;
    let clients: serde_json::Map<String, Value> = (0..600)
        .map(|i| (format!("scopes/client/c{i}"), json!({"parent": "industry/wine"})))
        .chain([("scopes/industry/wine".to_owned(), json!({}))])
        .collect();
    let body = json!({ "documents": clients }).to_string();
    assert_eq!(one.post("/v1/policy/versions", body).await.status, 201);
    other.in_force(6).await;
    let all = other.get("/v1/policy/documents").await;
    assert_eq!(all.body, one.get("/v1/policy/documents?version=6").await.body);
    assert_eq!(all.json()["documents"].as_object().unwrap().len(), 606);
}
