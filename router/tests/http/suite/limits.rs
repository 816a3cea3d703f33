//! Keys with a limit, and keys that end in the middle of a stream.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use router::keys;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::support::{Answer, Holder, World, content};

fn line(content_id: &str) -> String {
    content(json!({"content_id": content_id, "fields": {"text": ""}})).to_string() + "\n"
}

/// Lines that are sent one by one, while their answers are read.
struct Stream {
    lines: UnboundedSender<Bytes>,
    answers: Incoming,
    unread: Vec<u8>,
}

impl Stream {
    async fn open(world: &World, holder: &Holder<'_>) -> Self {
        let (lines, sent) = unbounded_channel();
        let body = stream::unfold(sent, async |mut sent| {
            let line: Bytes = sent.recv().await?;
            Some((Ok::<_, axum::Error>(line), sent))
        });
        let request = Request::post(format!("http://{}/v1/moderate", world.address()))
            .header("content-type", "application/x-ndjson")
            .header("authorization", format!("Bearer {}", holder.key))
            .body(Body::from_stream(body))
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answers = client.request(request).await.unwrap().into_body();
        Self { lines, answers, unread: Vec::new() }
    }

    fn send(&self, content_id: &str) {
        self.lines.send(line(content_id).into()).unwrap();
    }

    async fn answer(&mut self) -> Value {
        while !self.unread.contains(&b'\n') {
            let frame = timeout(Duration::from_secs(20), self.answers.frame()).await.unwrap();
            self.unread.extend(frame.unwrap().unwrap().into_data().unwrap());
        }
        let end = self.unread.iter().position(|byte| *byte == b'\n').unwrap();
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        serde_json::from_slice(&line).unwrap()
    }

    /// Sends lines until one is refused.
    async fn refusal(&mut self) -> Value {
        for _ in 0..1000 {
            self.send("next");
            let answer = self.answer().await;
            if !answer["error"].is_null() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no line was refused");
    }
}

#[tokio::test]
async fn lines_after_a_revocation_get_401_in_their_place() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = admin.make("ann", &["ingest:plainstore"]).await;
    let mut stream = Stream::open(&world, &ann).await;
    stream.send("r-1");
    assert_eq!(stream.answer().await["decision"], "approve");
    admin.revoke(&ann).await;
    for (number, id) in [(2, "r-2"), (3, "r-3")] {
        stream.send(id);
        let answer = stream.answer().await;
        assert_eq!((&answer["line"], &answer["content_id"]), (&json!(number), &json!(id)));
        assert_eq!(answer["error"]["type"], "/problems/unauthorized");
        assert_eq!(answer["error"]["status"], 401);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_key_wherever_that_was_revoked() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = admin.make("ann", &["ingest:plainstore"]).await;
    let mut stream = Stream::open(&world, &ann).await;
    stream.send("r-1");
    assert_eq!(stream.answer().await["decision"], "approve");
    keys::revoke(&world.database.url(), &ann.key_id).await.unwrap();
    let refusal = stream.refusal().await;
    assert!(refusal["error"]["detail"].as_str().unwrap().contains("was revoked"), "{refusal}");

    let soon = (Timestamp::now() + Duration::from_secs(1)).to_string();
    let members = json!({"owner": "bob", "scopes": ["ingest:*"], "expires_at": soon});
    let mut stream = Stream::open(&world, &admin.make_with(members).await).await;
    let refusal = stream.refusal().await;
    assert!(refusal["error"]["detail"].as_str().unwrap().contains("has expired"), "{refusal}");
}

#[tokio::test]
async fn who_needed_no_key_yet_needs_one_in_the_middle_of_a_stream() {
    let world = World::new().await;
    let nobody = Holder::nobody(&world);
    let mut stream = Stream::open(&world, &nobody).await;
    stream.send("r-1");
    assert_eq!(stream.answer().await["decision"], "approve");
    world.admin().await;
    stream.send("r-2");
    assert_eq!(stream.answer().await["error"]["status"], 401);
}

async fn limited<'a>(admin: &Holder<'a>, limit: u32, scope: &str) -> Holder<'a> {
    let members = json!({"owner": "ann", "scopes": [scope], "rate_limit_per_minute": limit});
    admin.make_with(members).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_limit_is_told_and_kept() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = limited(&admin, 2, "models").await;
    for expected in ["\"key\";r=1;t=30", "\"key\";r=0;t=60"] {
        let answer = ann.get("/v1/models").await;
        assert_eq!(answer.status, 200);
        assert_eq!(header(&answer, "ratelimit-policy"), Some("\"key\";q=2;w=60"));
        assert_eq!(header(&answer, "ratelimit"), Some(expected));
    }
    let answer = ann.get("/v1/models").await;
    let fault = answer.refused(429);
    assert!(fault.contains("x-ndjson"), "{fault}");
    assert_eq!(answer.json()["type"], "/problems/rate-limited");
    assert_eq!(header(&answer, "ratelimit"), Some("\"key\";r=0;t=60"));
    let wait: u64 = header(&answer, "retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    // Refusals of other kinds tell it too, and one key's limit is no other's.
    let bob =
        admin.make_with(json!({"owner": "bob", "scopes": ["models"], "rate_limit_per_minute": 9}));
    let forbidden = bob.await.get("/v1/keys").await;
    forbidden.refused(403);
    assert_eq!(header(&forbidden, "ratelimit-policy"), Some("\"key\";q=9;w=60"));
    assert_eq!(header(&admin.get("/v1/keys").await, "ratelimit"), None);
}

#[tokio::test]
async fn lines_wait_for_their_turn() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = limited(&admin, 60, "ingest:*").await;
    let lines: String = (0..62).map(|i| line(&format!("r-{i}"))).collect();
    let answer = ann.post_lines(lines).await;
    assert_eq!(header(&answer, "ratelimit-policy"), Some("\"key\";q=60;w=60"));
    let verdicts = answer.lines();
    assert_eq!(verdicts.len(), 62);
    assert!(verdicts.iter().all(|verdict| verdict["decision"] == "approve"), "{verdicts:?}");
    let review = content(json!({"fields": {"text": ""}}));
    // Had the lines not been counted, this would be the first use.
    let answer = ann.post("/v1/moderate", review).await;
    assert_ne!(header(&answer, "ratelimit"), Some("\"key\";r=59;t=1"));
}

#[tokio::test]
async fn a_line_that_waits_for_its_turn_ends_with_its_key() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = limited(&admin, 1, "ingest:*").await;
    let mut stream = Stream::open(&world, &ann).await;
    stream.send("r-1");
    assert_eq!(stream.answer().await["decision"], "approve");
    stream.send("r-2");
    admin.revoke(&ann).await;
    assert_eq!(stream.answer().await["error"]["status"], 401);
}

#[tokio::test]
async fn a_limit_changes_while_the_router_runs() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = limited(&admin, 1, "models").await;
    assert_eq!(ann.get("/v1/models").await.status, 200);
    ann.get("/v1/models").await.refused(429);
    let path = format!("/v1/keys/{}", ann.key_id);
    let json = [("content-type", "application/json")];
    let change = async |limit: &str| {
        let body = format!("{{\"rate_limit_per_minute\": {limit}}}");
        admin.send("PATCH", &path, &json, body).await
    };
    assert_eq!(change("5").await.status, 204);
    assert_eq!(header(&ann.get("/v1/models").await, "ratelimit-policy"), Some("\"key\";q=5;w=60"));
    assert_eq!(change("null").await.status, 204);
    assert_eq!(header(&ann.get("/v1/models").await, "ratelimit"), None);
    change("0").await.refused(422);
    admin.send("PATCH", &path, &json, "{}").await.refused(422);
    // Another key's change is no fresh start.
    assert_eq!(change("1").await.status, 204);
    assert_eq!(ann.get("/v1/models").await.status, 200);
    admin.make("bob", &["models"]).await;
    ann.get("/v1/models").await.refused(429);
}
