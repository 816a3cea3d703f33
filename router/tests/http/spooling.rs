//! Decisions while PostgreSQL is away, and when it is back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Answer, Database, SageMaker, World, config, content, postgres};

#[tokio::test]
async fn decisions_go_on_while_postgresql_is_away_and_are_in_it_when_it_is_back() {
    let (world, server) = world().await;
    let before = decide(&world, 3).await;
    server.command("stop immediate");
    let during = decide(&world, 30).await;
    read_back(&world, &during).await;
    // A decision that is not here may well be in the database.
    world.get(&path(&before[0])).await.refused(503);
    world.change("scopes/client/plainstore", json!({})).await.refused(503);

    server.command("start");
    drained(&world).await;
    let after = decide(&world, 3).await;
    for decisions in [&before, &during, &after] {
        read_back(&world, decisions).await;
    }
    assert_eq!(stored(&world).await, 36);
    assert_eq!(world.change("scopes/client/plainstore", json!({})).await.status, 204);
}

#[tokio::test]
async fn what_a_router_has_spooled_when_it_ends_is_handed_over_by_the_next() {
    let (world, server) = world().await;
    server.command("stop fast");
    let decisions = decide(&world, 10).await;
    let database = world.database.clone();
    let (sagemaker, _) = world.stop().await;
    // As if the router had died in the middle of a write.
    let file = spooled(&database.spool()).pop().unwrap();
    let torn = [&std::fs::read(&file).unwrap()[..], b"half a record"].concat();
    std::fs::write(&file, torn).unwrap();

    server.command("start");
    let world = World::run(config(&database, &sagemaker), sagemaker, database).await;
    read_back(&world, &decisions).await;
    drained(&world).await;
    read_back(&world, &decisions).await;
    assert_eq!(stored(&world).await, 10);
}

#[tokio::test]
async fn a_spool_that_is_full_refuses_decisions_until_the_database_is_back() {
    let (world, server) = world().await;
    server.command("stop fast");
    let large = content(json!({"fields": {"text": "x".repeat(300_000)}})).to_string();
    let mut kept = Vec::new();
    let full = loop {
        let answer = world.post("/v1/moderate", large.clone()).await;
        if answer.status != 200 {
            break answer;
        }
        kept.push(answer);
    };
    assert_eq!(kept.len(), 3);
    assert!(full.refused(503).contains("spool"));
    assert_eq!(full.headers["retry-after"], "1");
    server.command("start");
    drained(&world).await;
    read_back(&world, &kept).await;
    assert_eq!(world.post("/v1/moderate", large).await.status, 200);
}

#[tokio::test]
async fn a_spool_folder_that_is_none_is_refused_at_the_start() {
    let database = Database::Postgres(Arc::new(postgres::Database::new()));
    let mut config = config(&database, &SageMaker::start().await);
    config.spool = "/proc/none".into();
    let fault = router::Server::bind(config).await.unwrap_err().to_string();
    assert!(fault.contains("/proc/none") && fault.contains("--spool"), "{fault}");
}

/// A router on a PostgreSQL server of its own, with options for plainstore.
async fn world() -> (World, Arc<postgres::Database>) {
    let server = Arc::new(postgres::Database::alone());
    let database = Database::Postgres(Arc::clone(&server));
    let sagemaker = SageMaker::start().await;
    let world = World::run(config(&database, &sagemaker), sagemaker, database).await;
    world.add("models/spam", json!({"endpoint": {"sagemaker": "spam"}})).await;
    let spam = json!({"model": "spam", "label": "spam", "review_at": 0.7});
    world.add("scopes/platform", json!({"rules": {"spam": spam}})).await;
    world.add("scopes/client/plainstore", json!({})).await;
    (world, server)
}

/// Moderates side by side; every answer must be a verdict.
async fn decide(world: &World, count: usize) -> Vec<Answer> {
    let request = content(json!({"fields": {"text": "spam=0.9 \u{1f37a} \"\\"}})).to_string();
    let answers = join_all((0..count).map(|_| world.post("/v1/moderate", request.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    answers
}

fn path(answer: &Answer) -> String {
    format!("/v1/decisions/{}", answer.json()["decision_id"].as_str().unwrap())
}

async fn read_back(world: &World, answers: &[Answer]) {
    for answer in answers {
        assert_eq!(world.get(&path(answer)).await.body, answer.body);
    }
}

/// How many decisions are in the database.
async fn stored(world: &World) -> i64 {
    let mut database = world.database.connect().await;
    sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut database).await.unwrap()
}

/// Waits until nothing is spooled any more.
async fn drained(world: &World) {
    let draining = async {
        while !spooled(&world.database.spool()).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), draining).await.unwrap();
}

/// The spool's files, of whatever database.
fn spooled(folder: &Path) -> Vec<std::path::PathBuf> {
    let databases = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = databases.flat_map(|folder| folder.read_dir().unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "spool")).collect()
}
