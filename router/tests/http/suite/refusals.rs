//! Requests that are not as they should be.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{World, content};

#[tokio::test]
async fn an_unknown_client_is_404() {
    let world = World::new().await;
    let body = content(json!({"client": "nobody", "fields": {"text": ""}})).to_string();
    assert!(world.post("/v1/moderate", body).await.refused(404).contains("`nobody`"));
}

#[tokio::test]
async fn a_wrong_field_is_422_and_named() {
    let world = World::new().await;
    for (members, named) in [
        (json!({}), "fields"),
        (json!({"fields": {}}), "fields"),
        (json!({"fields": {"text": 5}}), "fields.text"),
        (json!({"fields": {"text": ""}, "colour": 1}), "colour"),
        (json!({"fields": {"text": ""}, "deadline_ms": 0}), "deadline_ms"),
        (json!({"fields": {"text": ""}, "rating": "5"}), "rating"),
        (json!({"fields": {"text": ""}, "content_id": ""}), "content_id"),
    ] {
        let body = content(members.clone()).to_string();
        let fault = world.post("/v1/moderate", body).await.refused(422);
        assert!(fault.contains(named), "{members}: {fault}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_400() {
    let world = World::new().await;
    for body in ["", "{", "{} {}", "{\"client\": \"a\",}", "nonsense"] {
        world.post("/v1/moderate", body).await.refused(400);
    }
    let fault = world.post("/v1/moderate", &b"{\"client\": \"\xff\"}"[..]).await.refused(400);
    assert!(fault.contains("UTF-8"), "{fault}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let world = World::new().await;
    let text = |bytes| content(json!({"fields": {"text": "x".repeat(bytes)}})).to_string();
    assert_eq!(world.post("/v1/moderate", text((1 << 20) - 100)).await.status, 200);
    world.post("/v1/moderate", text(1 << 20)).await.refused(413);
    let document = json!({"rules": {}, "x": "x".repeat(256 << 10)});
    world.change("scopes/platform", document).await.refused(413);
}

#[tokio::test]
async fn a_body_that_is_far_too_large_gets_its_413_after_all() {
    let world = World::new().await;
    let text = content(json!({"fields": {"text": "x".repeat(20_000_000)}})).to_string();
    for length in [text.len(), 30_000_000] {
        let mut connection = TcpStream::connect(world.address()).await.unwrap();
        let head = format!(
            "POST /v1/moderate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(text.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *b"HTTP/1.1 413");
    }
}

#[tokio::test]
async fn another_hosts_name_is_403() {
    let world = World::new().await;
    for host in ["rebound.example", "rebound.example:8080", "127.0.0.1.example", "[::2]"] {
        let fault = world.send("GET", "/v1/scopes", &[("host", host)], "").await.refused(403);
        assert!(fault.contains("127.0.0.1"), "{fault}");
    }
    for host in ["localhost", "localhost:8080", "127.0.0.1:9", "[::1]:8080"] {
        let answer = world.send("GET", "/v1/scopes", &[("host", host)], "").await;
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_list_is_no_object() {
    let world = World::new().await;
    let list = json!(["plainstore", null, "r-1", null, null, {"text": ""}]).to_string();
    world.post("/v1/moderate", list).await.refused(422);
    let endpoint = json!({"endpoint": ["spam"]});
    assert!(world.change("models/spam", endpoint).await.refused(422).starts_with("endpoint: "));
    world.change("models/spam", json!([{"sagemaker": "spam"}])).await.refused(422);
    world.change("scopes/platform", json!([null, [], {}, {}])).await.refused(422);
}

#[tokio::test]
async fn other_content_types_are_415() {
    let world = World::new().await;
    for content_type in ["text/plain", "application/xml", "application/json; charset=latin-1"] {
        let headers = [("content-type", content_type)];
        let fault = world.send("POST", "/v1/moderate", &headers, "{}").await.refused(415);
        assert!(fault.contains(content_type), "{fault}");
    }
    world.send("POST", "/v1/moderate", &[], "{}").await.refused(415);
    let headers = [("content-type", "application/x-ndjson"), ("if-none-match", "*")];
    world.send("PUT", "/v1/models/m", &headers, "{}").await.refused(415);
}

#[tokio::test]
async fn what_is_not_there_is_404_and_other_methods_are_405() {
    let world = World::new().await;
    for path in [
        "/",
        "/v1/nothing",
        "/v1/models/none",
        "/v1/scopes/client/none",
        "/v1/decisions/x",
        "/v1/decisions/a.b",
        "/v1/decisions/%ff",
    ] {
        world.get(path).await.refused(404);
    }
    let answer = world.get("/v1/moderate").await;
    answer.refused(405);
    assert_eq!(answer.headers["allow"], "POST");
    world.get("/v1/scopes/brand/a").await.refused(422);
    world.get("/v1/models/a.b").await.refused(422);
    world.get("/v1/models/%ff").await.refused(400);
    world.get("/v1/clients/alehouse/effective?site=a/b").await.refused(400);
    world.get("/v1/clients/alehouse/effective?sight=a").await.refused(400);
}

#[tokio::test]
async fn parts_of_the_design_that_are_not_built_are_refused() {
    let world = World::new().await;
    let role = "arn:aws:iam::123456789012:role/caller";
    let model = json!({"endpoint": {"sagemaker": "spam", "role_arn": role}});
    let fault = world.change("models/spam", model).await.refused(422);
    assert_eq!(fault, "endpoint.role_arn: not supported yet");
}
