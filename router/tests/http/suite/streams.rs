//! Lines in, lines out.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{World, content};

fn line(content_id: &str, text: &str) -> String {
    content(json!({"content_id": content_id, "fields": {"text": text}})).to_string() + "\n"
}

#[tokio::test]
async fn lines_are_answered_in_their_order() {
    let world = World::new().await;
    let lines: String =
        (0..200).map(|i| line(&format!("r-{i}"), &format!("spam={}", i % 2))).collect();
    let answer = world.post_lines(lines).await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let verdicts = answer.lines();
    assert_eq!(verdicts.len(), 200);
    for (i, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict["content_id"], format!("r-{i}"));
        assert_eq!(verdict["decision"], ["approve", "reject"][i % 2]);
    }
}

#[tokio::test]
async fn a_line_that_fails_is_reported_in_its_place() {
    let world = World::new().await;
    let mut body = Vec::new();
    body.extend(line("r-1", "spam=1").bytes());
    body.extend(b"\n{ not json\n");
    body.extend(b"{\"content_id\": \"r-4\", \"client\": \"plainstore\"}\n");
    body.extend(b"\"\xff\"\n");
    body.extend(format!("\"{}\"\n", "x".repeat(1 << 20)).bytes());
    body.extend(line("r-7", "").replace("plainstore", "nobody").bytes());
    body.extend(line("r-8", "").trim_end().bytes());
    let verdicts = world.post_lines(body).await.lines();
    let seen: Vec<_> = verdicts
        .iter()
        .map(|verdict| {
            (
                verdict["line"].as_u64(),
                verdict["content_id"].as_str(),
                verdict["error"]["status"].as_u64(),
            )
        })
        .collect();
    let expected = [
        (None, Some("r-1"), None),
        (Some(3), None, Some(400)),
        (Some(4), Some("r-4"), Some(422)),
        (Some(5), None, Some(400)),
        (Some(6), None, Some(413)),
        (Some(7), Some("r-7"), Some(404)),
        (None, Some("r-8"), None),
    ];
    assert_eq!(seen, expected);
    assert_eq!(verdicts[5]["error"]["type"], "/problems/unknown-client");
    for (index, start) in [
        (1, "the line is not JSON: key must be a string at column 3"),
        (2, "missing field `fields` at column"),
        (3, "the line is not UTF-8: "),
        (4, "the line is larger than "),
    ] {
        let detail = verdicts[index]["error"]["detail"].as_str().unwrap();
        assert!(detail.starts_with(start), "{detail}");
    }
}

#[tokio::test]
async fn no_lines_give_no_answers() {
    let world = World::new().await;
    let answer = world.post_lines("\n \n").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
}

#[tokio::test]
async fn an_answer_comes_before_the_next_line_is_sent() {
    let world = World::new().await;
    let mut connection = TcpStream::connect(world.address()).await.unwrap();
    let head = "POST /v1/moderate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jsonlines\r\n\
                transfer-encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    for content_id in ["first", "second"] {
        let line = line(content_id, "spam=1");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        connection.write_all(chunk.as_bytes()).await.unwrap();
        read_until(&mut connection, content_id).await;
    }
}

#[tokio::test]
async fn a_caller_that_waits_to_be_asked_for_its_lines_is_asked() {
    let world = World::new().await;
    let mut connection = TcpStream::connect(world.address()).await.unwrap();
    let head = "POST /v1/moderate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/jsonlines\r\n\
                transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut connection, "HTTP/1.1 100 Continue").await;
    let line = line("asked", "spam=1");
    connection.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
    read_until(&mut connection, "asked").await;
}

#[tokio::test]
async fn no_more_lines_are_in_work_than_fit() {
    let world = World::new().await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "max_concurrency": 1000});
    world.change("models/spam", gate).await;
    let lines = stream::iter(0..100)
        .map(|i| Ok::<_, axum::Error>(Bytes::from(line(&format!("r-{i}"), &format!("{i}")))));
    let answers = world.post_lines(Body::from_stream(lines));
    let gatekeeper = async {
        world.sagemaker.reached("gate", 32).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let in_work = world.sagemaker.payloads("gate").len();
        world.sagemaker.open_gate(100);
        in_work
    };
    let (answers, in_work) = tokio::join!(answers, gatekeeper);
    assert_eq!((in_work, answers.lines().len()), (32, 100));
}

async fn read_until(connection: &mut TcpStream, wanted: &str) {
    let mut seen = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            assert!(connection.read_buf(&mut seen).await.unwrap() > 0, "the connection was closed");
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap();
}
