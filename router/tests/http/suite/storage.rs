//! What is kept, and what happens when it cannot be.

use std::time::{Duration, Instant};

use router::Server;
use serde_json::{Value, json};
use sqlx::Row;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::ON_POSTGRES;
use crate::support::{World, config, content};

#[tokio::test]
async fn options_and_decisions_survive_a_restart_byte_for_byte() {
    let world = World::new().await;
    let request = content(json!({"fields": {"text": "spam=0.9"}})).to_string();
    let given = world.post("/v1/moderate", request.clone()).await;
    let id = given.json()["decision_id"].as_str().unwrap().to_owned();

    let world = world.restart().await;
    let path = format!("/v1/decisions/{id}");
    assert_eq!(world.get(&path).await.body, given.body);
    assert_eq!(world.get("/readyz").await.json()["policy_version"], 5);
    assert_eq!(world.moderate("spam=0.9").await["decision"], "review");
    let row = "SELECT client, content_id, decision, policy_version, request FROM decisions LIMIT 1";
    let row = sqlx::query(row).fetch_one(&mut world.database.connect().await).await.unwrap();
    assert_eq!(row.get::<String, _>("client"), "plainstore");
    assert_eq!(row.get::<String, _>("decision"), "review");
    assert_eq!(row.get::<String, _>("request"), request);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let world = World::new().await;
    let verdict = world.moderate_with(json!({"fields": {"text": ""}, "dry_run": true})).await;
    let id = verdict["decision_id"].as_str().unwrap();
    world.get(&format!("/v1/decisions/{id}")).await.refused(404);
}

#[tokio::test]
async fn every_change_is_kept_with_its_reason() {
    let world = World::new().await;
    let document = json!({"rules": {"spam": {"review_at": 0.1}}});
    let headers = [("if-match", "*"), ("gatehouse-reason", "complaints – see 17")];
    world.put("scopes/client/plainstore", &headers, document.clone()).await;
    world.send("DELETE", "/v1/scopes/client/plainstore", &[], "").await;

    let mut database = world.database.connect().await;
    let rows = sqlx::query(
        "SELECT * FROM changes JOIN versions USING (version)
         WHERE subject = 'scopes/client/plainstore' ORDER BY version",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let text = |row: usize, column: &str| rows[row].get::<Option<String>, _>(column);
    assert_eq!(rows.len(), 3);
    assert_eq!((text(0, "before"), text(0, "after").as_deref()), (None, Some("{}")));
    assert_eq!(text(1, "reason").as_deref(), Some("complaints – see 17"));
    assert_eq!(text(1, "author").as_deref(), Some("anonymous"));
    assert_eq!(text(1, "after"), Some(document.to_string()));
    assert_eq!((text(2, "before"), text(2, "after")), (Some(document.to_string()), None));
    for sql in [
        "UPDATE changes SET before = ''",
        "DELETE FROM changes",
        "UPDATE versions SET reason = ''",
        "DELETE FROM versions",
        "UPDATE audit SET actor = ''",
        "DELETE FROM audit",
    ] {
        assert!(sqlx::query(sql).execute(&mut database).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_verdict_that_cannot_be_stored_is_503() {
    let world = World::new().await;
    // What lies with PostgreSQL goes to the spool, but not what would never be taken from there.
    let refuse = if ON_POSTGRES {
        "ALTER TABLE decisions ADD CHECK (client = 'nobody')"
    } else {
        "DROP TABLE decisions"
    };
    sqlx::query(refuse).execute(&mut world.database.connect().await).await.unwrap();
    let request = content(json!({"fields": {"text": ""}})).to_string();
    let answer = world.post("/v1/moderate", request).await;
    answer.refused(503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["type"], "/problems/store-unavailable");
    let metrics = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
    let counted = "gatehouse_router_decisions_not_stored_total{cause=\"unavailable\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_verdict_does_not_wait_for_long_while_another_process_holds_the_database() {
    let world = World::new().await;
    let mut holder = world.database.hold().await;
    let started = Instant::now();
    let request = content(json!({"fields": {"text": ""}})).to_string();
    let answers = (0..50).map(|_| world.post("/v1/moderate", request.clone()));
    for answer in futures_util::future::join_all(answers).await {
        if ON_POSTGRES {
            // The spool takes it.
            assert_eq!(answer.status, 200, "{answer:?}");
            continue;
        }
        answer.refused(503);
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(world.moderate("spam=0").await["decision"], "approve");
}

#[tokio::test]
async fn a_change_is_made_even_if_the_caller_hangs_up() {
    let world = World::new().await;
    let mut holder = world.database.hold().await;
    let mut caller = TcpStream::connect(world.address()).await.unwrap();
    let put = "PUT /v1/scopes/client/plainstore HTTP/1.1\r\nhost: localhost\r\nif-match: *\r\n\
               content-type: application/json\r\ncontent-length: 36\r\n\r\n\
               {\"rules\":{\"spam\":{\"review_at\":0.3}}}";
    caller.write_all(put.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(caller);
    tokio::time::sleep(Duration::from_millis(100)).await;
    sqlx::query("ROLLBACK").execute(&mut holder).await.unwrap();
    world.in_force(6).await;
    assert_eq!(world.moderate("spam=0.3").await["decision"], "review");
}

#[tokio::test]
async fn routers_on_one_database_follow_each_other() {
    let one = World::new().await;
    let other = one.beside().await;
    let put = async |world: &World, version: &str, document| {
        world.put("scopes/client/plainstore", &[("if-match", version)], document).await
    };
    let review_at = |score: f64| json!({"rules": {"spam": {"review_at": score}}});
    assert_eq!(put(&one, "\"5\"", review_at(0.3)).await.status, 204);
    // A change is made to what is stored, not to what this router last saw.
    put(&other, "\"5\"", review_at(0.2)).await.refused(412);
    assert_eq!(put(&other, "\"6\"", review_at(0.1)).await.headers["etag"], "\"7\"");
    one.in_force(7).await;
    assert_eq!(one.moderate("spam=0.1").await["decision"], "review");
}

#[tokio::test]
async fn options_that_another_router_stored_and_this_one_cannot_read_change_nothing() {
    let world = World::new().await;
    let mut other = world.database.connect().await;
    for sql in [
        "INSERT INTO versions (version, changed_at, author) VALUES (6, '', '')",
        "INSERT INTO changes (version, subject, after)
         VALUES (6, 'scopes/client/alehouse', '{\"colour\": 1}')",
    ] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    let answer = world.change("scopes/client/plainstore", json!({})).await;
    assert!(answer.refused(503).contains("`scopes/client/alehouse`: "));
    assert!(!answer.headers.contains_key("retry-after"));
    assert_eq!(world.get("/readyz").await.json()["policy_version"], 5);
    assert_eq!(world.moderate("spam=0.8").await["decision"], "review");
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_router_stops() {
    let world = World::new().await;
    world.change("models/spam", json!({"endpoint": {"sagemaker": "slow"}})).await;
    let url = format!("http://{}/v1/moderate", world.address());
    let body = content(json!({"fields": {"text": "spam=1"}})).to_string();
    let verdict = tokio::spawn(raw_post(url, body));
    world.sagemaker.reached("slow", 1).await;
    world.stop().await;
    assert_eq!(verdict.await.unwrap()["decision"], "reject");
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_the_start() {
    let world = World::new().await;
    let bind = async |change: &dyn Fn(&mut router::Config)| {
        let mut config = config(&world.database, &world.sagemaker);
        change(&mut config);
        Server::bind(config).await.unwrap_err().to_string()
    };
    let taken = world.address();
    let fault = bind(&|config| config.listen = taken).await;
    assert!(fault.contains(&taken.to_string()) && fault.contains("--listen"), "{fault}");
    let fault = bind(&|config| config.listen = "0.0.0.0:0".parse().unwrap()).await;
    assert!(fault.contains("0.0.0.0:0") && fault.contains("keys"), "{fault}");
    let fault = bind(&|config| config.database = "postgres://me:secret@host/db".to_owned()).await;
    assert!(fault.contains("postgres://host:5432/db") && !fault.contains("secret"), "{fault}");
    let fault = bind(&|config| config.database = "sqlite:///proc/none/a.db".to_owned()).await;
    assert!(fault.contains("/proc/none/a.db") && fault.contains("--database"), "{fault}");

    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.db");
    std::fs::write(
        &broken,
        "no database, but a text that is long enough to be looked at".repeat(20),
    )
    .unwrap();
    let fault = bind(&|config| config.database = format!("sqlite://{}", broken.display())).await;
    assert!(fault.contains("broken.db"), "{fault}");
}

async fn raw_post(url: String, body: String) -> Value {
    use http_body_util::BodyExt;
    use hyper_util::client::legacy::Client;
    let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = axum::http::Request::post(url).header("content-type", "application/json");
    let response = client.request(request.body(body).unwrap()).await.unwrap();
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}
