//! Decisions while PostgreSQL is away, and when it is back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::outages::router;
use crate::support::{Answer, Database, SageMaker, World, config, content, postgres, until};

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
async fn a_spooled_decision_that_nobody_can_read_is_put_aside_and_holds_up_no_other() {
    let (world, server) = world().await;
    server.command("stop fast");
    let decisions = decide(&world, 5).await;
    let database = world.database.clone();
    let (sagemaker, _) = world.stop().await;
    let file = spooled(&database.spool()).pop().unwrap();
    let later = record(br#"{"format": 2, "what": "a later router writes"}"#);
    let first = [&later[..], &std::fs::read(&file).unwrap()].concat();
    std::fs::write(&file, first).unwrap();

    server.command("start");
    let world = World::run(config(&database, &sagemaker), sagemaker, database).await;
    drained(&world).await;
    read_back(&world, &decisions).await;
    assert_eq!(stored(&world).await, 5);
    let aside: Vec<_> = file.parent().unwrap().read_dir().unwrap().collect();
    let [Ok(aside)] = &aside[..] else { panic!("{aside:?}") };
    assert_eq!(std::fs::read(aside.path()).unwrap(), later);
}

#[tokio::test]
async fn a_spooled_decision_that_the_database_refuses_is_put_aside_and_holds_up_no_other() {
    let (world, server) = world().await;
    refuse(&world, "23514").await;
    server.command("stop fast");
    let before = decide(&world, 3).await;
    let refused = world.post("/v1/moderate", refusable()).await;
    let after = decide(&world, 3).await;
    server.command("start");
    drained(&world).await;
    for decisions in [&before, &after] {
        read_back(&world, decisions).await;
    }
    assert_eq!(stored(&world).await, 6);
    world.get(&path(&refused)).await.refused(404);
    let folder = world.database.spool().read_dir().unwrap().next().unwrap().unwrap().path();
    let aside: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(aside.len() == 1 && aside[0].extension().unwrap() == "aside", "{aside:?}");
}

#[tokio::test]
async fn a_spool_that_cannot_be_handed_over_keeps_no_new_decision_from_the_database() {
    let (world, server) = world().await;
    refuse(&world, "XX000").await;
    server.command("stop fast");
    let refused = world.post("/v1/moderate", refusable()).await;
    server.command("start");
    until(async || {
        decide(&world, 1).await;
        stored(&world).await > 0
    })
    .await;
    // It is still tried, and found.
    read_back(&world, &[refused]).await;
}

#[tokio::test]
async fn decisions_that_the_router_may_not_insert_are_spooled_until_it_may() {
    let (world, server) = world().await;
    let clerk = "CREATE ROLE clerk LOGIN; GRANT CREATE ON SCHEMA public TO clerk;
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk";
    let execute = async |sql: &'static str| {
        let mut database = world.database.connect().await;
        sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
    };
    execute(clerk).await;
    let place = server.url.split_once('@').unwrap().1;
    let clerk = router(format!("postgres://clerk@{place}")).await;
    decide(&clerk, 1).await;
    execute("REVOKE INSERT ON decisions FROM clerk").await;
    let mut spooled = decide(&clerk, 2).await;
    server.command("stop fast");
    spooled.extend(decide(&clerk, 2).await);
    server.command("start");
    // Whether the router has seen already that the server is back or not.
    for _ in 0..20 {
        spooled.extend(decide(&clerk, 1).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    read_back(&clerk, &spooled).await;
    assert_eq!(stored(&world).await, 1);
    execute("GRANT INSERT ON decisions TO clerk").await;
    until(async || stored(&world).await == 25).await;
    read_back(&clerk, &spooled).await;
}

/// Has the database refuse one decision, with this error.
async fn refuse(world: &World, code: &str) {
    let trigger = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN RAISE EXCEPTION USING ERRCODE = ''{code}''; END';
         CREATE TRIGGER refuse BEFORE INSERT ON decisions FOR EACH ROW
             WHEN (NEW.content_id = 'refused') EXECUTE FUNCTION refuse()"
    );
    let mut database = world.database.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut database).await.unwrap();
}

fn refusable() -> String {
    content(json!({"content_id": "refused", "fields": {"text": ""}})).to_string()
}

/// A record as it is in a spool.
fn record(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let id = uuid::Uuid::now_v7();
    let rest = [&id.as_bytes()[..], body].concat();
    let checksum = Sha256::new().chain_update(length).chain_update(&rest).finalize();
    [&length[..], &checksum[..8], &rest].concat()
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
pub(crate) async fn decide(world: &World, count: usize) -> Vec<Answer> {
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
pub(crate) async fn stored(world: &World) -> i64 {
    let mut database = world.database.connect().await;
    sqlx::query_scalar("SELECT count(*) FROM decisions").fetch_one(&mut database).await.unwrap()
}

/// Waits until nothing is spooled any more.
pub(crate) async fn drained(world: &World) {
    let draining = async {
        while !spooled(&world.database.spool()).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), draining).await.unwrap();
}

/// The spool's files, of whatever database.
pub(crate) fn spooled(folder: &Path) -> Vec<std::path::PathBuf> {
    let databases = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = databases.flat_map(|folder| folder.read_dir().unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "spool")).collect()
}
