//! The life of a key: made, used, limited, revoked, and written down.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use router::keys::{self, NewKey};
use router::{Config, Server};
use serde_json::{Value, json};
use sqlx::Row;

use crate::support::{Database, SageMaker, World, config, until};

fn new_key(owner: &str, scope: &str) -> NewKey {
    let (owner, scopes) = (owner.to_owned(), vec![scope.to_owned()]);
    NewKey { owner, scopes, expires: None, rate_limit_per_minute: None }
}

#[tokio::test]
async fn keys_that_are_not_taken_are_401() {
    let world = World::new().await;
    let admin = world.admin().await;
    let other = admin.make("other", &["models"]).await;
    let secret = |key: &str| key.rsplit('_').next().unwrap().to_owned();
    let swapped = format!("gh_live_{}_{}", admin.key_id, secret(&other.key));
    let unknown = format!("gh_live_0123456789ab_{}", secret(&other.key));
    for header in [
        format!("Bearer {swapped}"),
        format!("Bearer {unknown}"),
        format!("Bearer {}x", admin.key),
        "Bearer ".to_owned(),
        "Bearer nonsense".to_owned(),
        format!("Basic {}", admin.key),
        admin.key.clone(),
    ] {
        let answer = world.send("GET", "/v1/keys", &[("authorization", &header)], "").await;
        let fault = answer.refused(401);
        assert!(!fault.contains(&secret(&admin.key)) && !fault.contains(&secret(&other.key)));
    }
    let bearer = format!("Bearer {}", admin.key);
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    world.send("GET", "/v1/keys", &twice, "").await.refused(401);
    let lower = [("authorization", bearer.replace("Bearer", "bearer"))];
    let lower = lower.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(world.send("GET", "/v1/keys", &lower, "").await.status, 200);
}

#[tokio::test]
async fn a_key_that_is_over_says_so() {
    let world = World::new().await;
    let admin = world.admin().await;
    let revoked = admin.make("a", &["models"]).await;
    assert_eq!(revoked.get("/v1/models").await.status, 200);
    admin.revoke(&revoked).await;
    assert!(revoked.get("/v1/models").await.refused(401).contains("was revoked"));
    admin.revoke(&revoked).await;

    let soon = Timestamp::now() + Duration::from_secs(1);
    let members = json!({"owner": "b", "scopes": ["models"], "expires_at": soon.to_string()});
    let brief = admin.make_with(members).await;
    until(async || brief.get("/v1/models").await.status == 401).await;
    assert!(brief.get("/v1/models").await.refused(401).contains("has expired"));
}

#[tokio::test]
async fn a_key_is_shown_once_and_kept_nowhere() {
    let world = World::new().await;
    let admin = world.admin().await;
    let made = admin.post("/v1/keys", json!({"owner": "ann", "scopes": ["read:*"]})).await;
    assert_eq!(made.headers["cache-control"], "no-store");
    let (key, id) = (made.json()["key"].clone(), made.json()["key_id"].clone());
    let (key, id) = (key.as_str().unwrap(), id.as_str().unwrap());
    assert_eq!(made.headers["location"], format!("/v1/keys/{id}"));
    let secret = key.rsplit('_').next().unwrap();
    for path in ["/v1/keys", "/v1/audit"] {
        let told = admin.get(path).await;
        let told = str::from_utf8(&told.body).unwrap();
        assert!(told.contains(id) && !told.contains(secret), "{path}");
    }
    let mut database = world.database.connect().await;
    let columns = "SELECT key_id, owner, secret_sha256, scopes, created_by FROM keys
                   UNION ALL SELECT audit_id, actor, action, subject, detail FROM audit";
    for row in sqlx::query(columns).fetch_all(&mut database).await.unwrap() {
        for column in 0..5 {
            assert!(!row.get::<String, _>(column).contains(secret));
        }
    }
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused_by_field() {
    let world = World::new().await;
    let admin = world.admin().await;
    for (members, named) in [
        (json!({"scopes": ["models"]}), "owner"),
        (json!({"owner": "", "scopes": ["models"]}), "owner"),
        (json!({"owner": "anonymous", "scopes": ["models"]}), "owner"),
        (json!({"owner": "a", "scopes": []}), "scopes"),
        (json!({"owner": "a", "scopes": ["ingest"]}), "scopes[0]"),
        (json!({"owner": "a", "scopes": ["options:brand/x"]}), "scopes[0]"),
        (json!({"owner": "a", "scopes": ["models"], "expires_at": "90d"}), "expires_at"),
        (
            json!({"owner": "a", "scopes": ["models"], "expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at",
        ),
        (
            json!({"owner": "a", "scopes": ["models"], "rate_limit_per_minute": 0}),
            "rate_limit_per_minute",
        ),
        (json!({"owner": "a", "scopes": ["models"], "key": "x"}), "key"),
    ] {
        let fault = admin.post("/v1/keys", members.clone()).await.refused(422);
        assert!(fault.contains(named), "{members}: {fault}");
    }
    admin.send("DELETE", "/v1/keys/0123456789ab", &[], "").await.refused(404);
    admin.send("DELETE", "/v1/keys/short", &[], "").await.refused(422);
}

#[tokio::test]
async fn an_owner_has_two_active_keys_however_fast_he_asks() {
    let world = World::new().await;
    let admin = world.admin().await;
    let members = || json!({"owner": "ann", "scopes": ["models"]});
    let made = join_all((0..6).map(|_| admin.post("/v1/keys", members()))).await;
    let (made, refused): (Vec<_>, Vec<_>) = made.iter().partition(|made| made.status == 201);
    assert_eq!((made.len(), refused.len()), (2, 4));
    assert!(refused.iter().all(|refused| refused.refused(409).contains("gatehouse key revoke")));
    let first = format!("/v1/keys/{}", made[0].json()["key_id"].as_str().unwrap());
    assert_eq!(admin.send("DELETE", &first, &[], "").await.status, 204);
    admin.make("ann", &["models"]).await;
}

#[tokio::test]
async fn the_last_use_of_a_key_is_noted() {
    let world = World::new().await;
    let admin = world.admin().await;
    let last_used = async || {
        let keys = admin.get("/v1/keys").await.json();
        keys["keys"][0]["last_used_at"].clone()
    };
    until(async || last_used().await.is_string()).await;
    let noted = last_used().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(last_used().await, noted);
}

#[tokio::test]
async fn a_key_made_or_revoked_elsewhere_counts_here() {
    let world = World::new().await;
    let admin = world.admin().await;
    let url = world.database.url();
    let made = keys::create(&url, new_key("ann", "models")).await.unwrap();
    let bearer = format!("Bearer {}", made.key.reveal());
    let status = async || {
        world.send("GET", "/v1/models", &[("authorization", &bearer)], "").await.status.as_u16()
    };
    until(async || status().await == 200).await;
    keys::revoke(&url, &made.key_id).await.unwrap();
    until(async || status().await == 401).await;
    let listed = keys::list(&url).await.unwrap();
    let states: Vec<_> = listed.iter().map(|key| (key.owner.as_str(), key.is_active)).collect();
    assert_eq!(states, [("root", true), ("ann", false)]);
    let fault = keys::revoke(&url, "0123456789ab").await.unwrap_err().to_string();
    assert!(fault.contains("gatehouse key list"), "{fault}");
    drop(admin);
}

#[tokio::test]
async fn every_change_is_written_down_for_good() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = admin.make("ann", &["models"]).await;
    admin.revoke(&ann).await;
    let mut actions = Vec::new();
    let mut before = String::new();
    loop {
        let page = admin.get(&format!("/v1/audit?limit=3{before}")).await.json();
        actions.extend(page["audit"].as_array().unwrap().iter().cloned());
        let Value::String(next) = &page["next"] else { break };
        before = format!("&before={next}");
    }
    let named: Vec<_> = actions.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let policy = ["policy.change"; 5];
    assert_eq!(named, [&["key.revoke", "key.create", "key.create"][..], &policy].concat());
    assert_eq!(actions[0]["subject"], format!("keys/{}", ann.key_id));
    assert_eq!(actions[0]["actor"], "root");
    assert_eq!(actions[1]["detail"]["scopes"], json!(["models"]));
    assert_eq!(actions[2]["actor"], "gatehouse key");
    assert_eq!(actions[3]["actor"], "anonymous");

    let mut database = world.database.connect().await;
    for statement in ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"] {
        let fault = sqlx::query(statement).execute(&mut database).await.unwrap_err();
        assert!(fault.to_string().contains("immutable"), "{fault}");
    }
    for bad in ["limit=0", "limit=1001"] {
        admin.get(&format!("/v1/audit?{bad}")).await.refused(422);
    }
    for bad in ["limit=x", "before=x", "after=1"] {
        admin.get(&format!("/v1/audit?{bad}")).await.refused(400);
    }
}

#[tokio::test]
async fn only_a_router_with_keys_is_open_to_other_machines() {
    let (sagemaker, database) = (SageMaker::start().await, Database::new());
    let open = || Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(&database, &sagemaker) };
    let fault = Server::bind(open()).await.unwrap_err().to_string();
    assert!(fault.contains("gatehouse key create"), "{fault}");
    let made = keys::create(&database.url(), new_key("root", "admin")).await.unwrap();

    let world = World::run(open(), sagemaker, database.clone()).await;
    let bearer = format!("Bearer {}", made.key.reveal());
    let own = [("host", "router.example"), ("authorization", &bearer)];
    assert_eq!(world.send("GET", "/v1/keys", &own, "").await.status, 200);

    // Without its last key, it is closed and not open.
    keys::revoke(&database.url(), &made.key_id).await.unwrap();
    until(async || world.send("GET", "/v1/keys", &own, "").await.status == 401).await;
    world.get("/v1/models").await.refused(401);
    let (sagemaker, _) = world.stop().await;
    let open = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(&database, &sagemaker) };
    let world = World::run(open, sagemaker, database).await;
    world.get("/v1/models").await.refused(401);
}

#[tokio::test]
async fn a_key_makes_a_database_only_in_a_folder_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    let create = async |path: &str| {
        let url = format!("sqlite://{}/{path}", folder.path().display());
        keys::create(&url, new_key("root", "admin")).await
    };
    let fault = create("dta/a.db").await.unwrap_err().to_string();
    assert!(fault.contains("--database") && fault.contains("/dta`"), "{fault}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // What was made is told: the name of the file may be mistyped as well.
    let made = create("a.db").await.unwrap().new_database.unwrap();
    assert!(made.ends_with("/a.db"), "{made}");
    assert_eq!(create("a.db").await.unwrap().new_database, None);
}
